// Helpers for the tests of a migration from files: a machine beside a source, and the identities that arrived.
//
// Invariant: the sessions in a source are those that Baileys itself wrote.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { lines } from '../../testkit/baileys/lines.mjs'
import { filesIn, writeMultiFile } from '../support/migrations.mjs'
import { scene, temporaryFolder } from '../../testkit/processes/sessions.mjs'

const [v7] = lines

export const CREDS_ONLY = (files) => new Map([['creds.json', files.get('creds.json')]])

export const baileys = await v7.load()

/** A machine, an empty source, and files of as many sessions as are asked for. */
export async function place(t, count = 1) {
  const at = scene(t)
  const from = join(at.root, 'source')
  mkdirSync(from)
  const folders = temporaryFolder(t)
  const sessions = []
  for (let n = 0; n < count; n++) {
    const written = await writeMultiFile(baileys, join(folders, String(n)))
    sessions.push({ ...written, files: filesIn(join(folders, String(n))) })
  }
  return { at, from, sessions, options: { ...at.local, store: null, baileys, from } }
}

export const identities = async (at, ids) =>
  Object.fromEntries(
    await Promise.all(
      ids.map(async (id) => [id, (await at.openLocal(id, { baileys, onMissing: 'error' })).state.creds.signedIdentityKey.public])
    )
  )
