// Sessions of other systems, in every way in which those lay their files, for migrations to start from.
//
// Invariant: the files are those that Baileys itself wrote; a layout renames, gathers or encrypts them, and changes no value.

import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { appStateSyncKey, otherFamilies, pairedCreds } from '../../testkit/baileys/values.mjs'

export const SOURCE_KEY = '3c'.repeat(32)

/** A small session, paired, with a key of each family, as Baileys wrote it to `folder`. */
export async function writeMultiFile(baileys, folder, { more = {} } = {}) {
  const { state, saveCreds } = await baileys.useMultiFileAuthState(folder)
  Object.assign(state.creds, pairedCreds(baileys))
  await saveCreds()
  const data = {
    ...otherFamilies(),
    session: { '1001.0': { version: 'v1', _sessions: {} } },
    'sender-key': { 'g@g.us::1001::0': Buffer.from('[]') },
    'app-state-sync-key': { 'AA/+': appStateSyncKey(baileys) },
    ...more
  }
  await state.keys.set(data)
  return { creds: state.creds, data }
}

/** The files of a folder: name -> bytes. */
export const filesIn = (folder) =>
  new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name))])
  )

const map = (files, change) => new Map([...files].map(([name, bytes]) => change(name, bytes)))

const TYPES = [
  'app-state-sync-version',
  'app-state-sync-key',
  'sender-key-memory',
  'identity-key',
  'lid-mapping',
  'device-list',
  'sender-key',
  'pre-key',
  'session',
  'tctoken'
]

/** keys.json of the files, by `put(all, type, id, value)`. */
function keysFile(files, put) {
  const all = {}
  for (const [name, bytes] of files) {
    if (name === 'creds.json') continue
    const type = TYPES.find((type) => name.startsWith(`${type}-`))
    put(all, type, name.slice(type.length + 1, -'.json'.length), JSON.parse(bytes))
  }
  return new Map([
    ['creds.json', files.get('creds.json')],
    ['keys.json', Buffer.from(JSON.stringify(all))]
  ])
}

function cbc(bytes, key) {
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-256-cbc', Buffer.from(key, 'hex'), iv)
  return [iv, Buffer.concat([cipher.update(bytes), cipher.final()])]
}

/** Layout -> the files of one session, from those of its multi-file folder. */
export const LAYOUTS = {
  flat: (files) => files,
  'keys folder': (files) => map(files, (name, bytes) => [name === 'creds.json' ? name : `keys/${name}`, bytes]),
  'keys file by type': (files) => keysFile(files, (all, type, id, value) => ((all[type] ??= {})[id] = value)),
  'keys file by type and id': (files) => keysFile(files, (all, type, id, value) => (all[`${type}-${id}`] = value)),
  'encrypted bytes': (files, key = SOURCE_KEY) => map(files, (name, bytes) => [name, Buffer.concat(cbc(bytes, key))]),
  'encrypted text': (files, key = SOURCE_KEY) =>
    map(files, (name, bytes) => [
      name,
      Buffer.from(
        cbc(bytes, key)
          .map((part) => part.toString('hex'))
          .join(':')
      )
    ])
}

/** Its name in the report. */
export const REPORTED = {
  flat: 'flat',
  'keys folder': 'keys-folder',
  'keys file by type': 'keys-file',
  'keys file by type and id': 'keys-file',
  'encrypted bytes': 'flat',
  'encrypted text': 'flat'
}

/** Puts the files of a session below `path` of a folder. */
export function putIn(root, path, files) {
  for (const [name, bytes] of files) {
    const file = join(root, ...path.split('/'), ...name.split('/'))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, bytes)
  }
}

/** Puts files (full name -> bytes) into a bucket, many at a time. */
export async function putAll(bucket, files) {
  const rest = [...files].values()
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const [name, bytes] of rest) await bucket.put(name, bytes)
    })
  )
}

export const below = (path, files) => map(files, (name, bytes) => [`${path}/${name}`, bytes])
