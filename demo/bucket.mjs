// Looks at the bucket from outside, like a thief: its objects, and the secrets that can be read in
// it.
//
// Invariant: the search is proved on a file that does contain a secret before its silence about the bucket means anything.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function listBucket(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const objects = files.map((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    return { name: path.slice(folder.length + 1), body: readFileSync(path) }
  })
  return { objects, bytes: objects.reduce((sum, { body }) => sum + body.length, 0) }
}

/** @returns the number of (secret, object) pairs in which the object contains the secret in one of its usual forms */
export function searchBucket(folder, secrets, words) {
  // 24 base64 digits of 18 whole bytes: found also where the text goes on differently at its end.
  const needles = [
    ...secrets.flatMap((secret) => [secret, Buffer.from(secret.subarray(0, 18).toString('base64')), Buffer.from(secret.toString('hex'))]),
    ...words.map((word) => Buffer.from(word))
  ]
  let hits = 0
  for (const { name, body } of listBucket(folder).objects) {
    for (const needle of needles) if (body.includes(needle) || name.includes(needle.toString('latin1'))) hits += 1
  }
  return { hits, needles: needles.length }
}

/** Shows that the search finds secrets. */
export function proveSearch(folder, secret) {
  const file = join(folder, 'planted.json')
  const before = searchBucket(folder, [secret], []).hits
  writeFileSync(file, JSON.stringify({ private: { type: 'Buffer', data: secret.toString('base64') } }))
  const { hits } = searchBucket(folder, [secret], [])
  rmSync(file)
  if (hits !== before + 1) throw new Error('the search for secrets does not find a planted one')
}
