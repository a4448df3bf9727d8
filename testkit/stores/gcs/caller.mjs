// Caller of the double for its tests: asks as the service account that the double made, or as somebody who is wrong in one thing.
//
// Invariant: nothing here goes through the client of the common interface, whose rights are the owner's.

import assert from 'node:assert/strict'
import { createSign } from 'node:crypto'
import { codeOf } from './xml.mjs'

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'

export const now = () => Math.floor(Date.now() / 1000)
export const encoded = (json) => Buffer.from(JSON.stringify(json)).toString('base64url')

export const refused = (answer, status, code) => assert.deepEqual([answer.status, answer.code], [status, code], answer.text)

/** The caller for a double that runs. */
export function callerOf({ endpoint, credentials }) {
  const key = JSON.parse(credentials)

  /** A JWT of the service account, or one that is wrong in what `claims`, `head` and `privateKey` say. */
  const jwt = (claims = {}, head = {}, privateKey = key.private_key) => {
    const standard = { iss: key.client_email, sub: key.client_email, scope: SCOPE, iat: now(), exp: now() + 3600 }
    const text = `${encoded({ alg: 'RS256', typ: 'JWT', kid: key.private_key_id, ...head })}.${encoded({ ...standard, ...claims })}`
    return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`
  }

  /** A request; `bearer: null` is anonymous. */
  const ask = async (method, path, { headers = {}, body, bearer = jwt() } = {}) => {
    const authorization = bearer === null ? {} : { authorization: `Bearer ${bearer}` }
    const answer = await fetch(`${endpoint}/${path}`, { method, headers: { ...authorization, ...headers }, body })
    const text = await answer.text()
    return { status: answer.status, headers: answer.headers, code: codeOf(text), text }
  }
  return { key, jwt, ask }
}
