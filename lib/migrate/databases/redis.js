'use strict'

// Sessions in Redis: a string per key, a hash per session, a hash per type, or a string with all keys.
//
// Invariants: nothing is sent but SCAN, TYPE, GET, HGET and HGETALL. A key counts as one of a session only together with credentials; what a session
// should have as text and has as something else is damage, and everything else in the server is somebody else's.

const { HybridAuthError } = require('../../errors.js')
const { CONNECT_MS, guardedBy, loadDriver } = require('./drivers.js')
const { CREDS, countOrphans, groupNames, isAllKeys, isCreds, isFamily, keyOf } = require('./key-names.js')
const { HASHES, KEYS, SESSIONS } = require('./layouts.js')

/** Names that the server is asked for at once, and commands that are under way at once. */
const PAGE = 1000

/** A part of every credentials; or of their wrapping, where they are encrypted. */
const OF_CREDS = /noiseKey|ciphertext/

/** Beginnings of names that known packages use, and that are no part of a session's name. */
const BEGINNINGS = /^(?:baileys:auth:|baileys:session:|baileys-auth-state:|wa:auth:|(?:keyv:+)+)/

const literal = (text) => text.replace(/[*?[\]\\^]/g, '\\$&')

function passwordOf(url) {
  const secret = process.env.REDISCLI_AUTH
  return url.password === '' && secret ? { password: secret } : {}
}

async function connectIoredis(driver, url) {
  const Redis = driver.Redis ?? driver.default ?? driver
  const client = new Redis(url.href, {
    ...passwordOf(url),
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false
  })
  let failure
  client.on('error', (error) => (failure ??= error))
  try {
    await client.connect()
    await client.call('GET', 'baileys-hybrid-auth:probe')
  } catch (error) {
    client.disconnect()
    throw failure ?? error
  }
  return { send: (...command) => client.call(...command), close: async () => client.disconnect() }
}

async function connectRedis(driver, url) {
  const client = driver.createClient({
    url: url.href,
    ...passwordOf(url),
    socket: { connectTimeout: CONNECT_MS, reconnectStrategy: false }
  })
  client.on('error', () => {})
  await client.connect()
  return { send: (...command) => client.sendCommand(command), close: async () => (client.destroy ? client.destroy() : client.disconnect()) }
}

async function connect(url) {
  const { name, driver } = loadDriver(['ioredis', 'redis'], 'Redis')
  return name === 'ioredis' ? connectIoredis(driver, url) : connectRedis(driver, url)
}

/** The fields of a hash, however the driver answers them: name -> text. */
function fieldsOf(answer) {
  if (answer instanceof Map) return [...answer]
  if (!Array.isArray(answer)) return Object.entries(answer ?? {})
  return Array.from({ length: answer.length / 2 }, (_, i) => [answer[2 * i], answer[2 * i + 1]])
}

/** The commands of a migration, on a connection. */
function reader({ send }) {
  async function each(items, work) {
    const answers = []
    for (let at = 0; at < items.length; at += PAGE) answers.push(...(await Promise.all(items.slice(at, at + PAGE).map(work))))
    return answers
  }
  const isOfAnotherType = (error) => error.message.startsWith('WRONGTYPE')
  return {
    /** Names that match, with the types of those keys: name -> type. */
    async scan(match) {
      const names = new Set()
      let cursor = '0'
      do {
        const [next, page] = await send('SCAN', cursor, 'MATCH', match, 'COUNT', String(PAGE))
        for (const name of page) names.add(String(name))
        cursor = String(next)
      } while (cursor !== '0')
      const all = [...names]
      const types = await each(all, (name) => send('TYPE', name))
      return new Map(all.map((name, i) => [name, String(types[i])]))
    },
    /** Texts; undefined for what has become something else meanwhile. */
    get: (names) => each(names, (name) => send('GET', name).catch((error) => (isOfAnotherType(error) ? undefined : Promise.reject(error)))),
    getField: (names, field) =>
      each(names, (name) => send('HGET', name, field).catch((error) => (isOfAnotherType(error) ? null : Promise.reject(error)))),
    getFields: (names) =>
      each(names, async (name) =>
        fieldsOf(await send('HGETALL', name).catch((error) => (isOfAnotherType(error) ? [] : Promise.reject(error))))
      )
  }
}

/** The members of a session by what they are. */
function sortMembers(members, types) {
  const sorted = { strings: [], blobs: [], hashes: [], byType: [], wrong: [], others: 0 }
  for (const { name, rest } of members) {
    const type = types.get(name)
    const key = keyOf(rest)
    if (isAllKeys(rest) && type === 'string') sorted.blobs.push(name)
    else if (isAllKeys(rest) && type === 'hash') sorted.hashes.push(name)
    else if (isFamily(rest) && type === 'hash') sorted.byType.push({ name, type: rest })
    else if (key !== null && type === 'string') sorted.strings.push({ name, ...key })
    else if (key !== null && isFamily(key.type)) sorted.wrong.push({ name, type: key.type })
    else sorted.others++
  }
  return sorted
}

const hasKeys = ({ strings, blobs, hashes, byType, wrong }) =>
  strings.some(({ type }) => isFamily(type)) || blobs.length + hashes.length + byType.length + wrong.length > 0

const layoutOf = ({ strings, blobs, hashes, byType }) =>
  hashes.length + byType.length > 0 ? HASHES : blobs.length > 0 && strings.length === 0 ? SESSIONS : KEYS

/**
 * The part of the names of a group from which its members are found again.
 * @param {{ prefix?: string, suffix?: string }} group
 */
const matchOf = ({ prefix, suffix }) => (suffix === undefined ? `${literal(prefix ?? '')}*` : `*${literal(suffix)}`)

const partsOf = (path) => path.replace(BEGINNINGS, '').split(':').filter(Boolean)

/** Fields of a hash as records. */
function fieldRecords(name, fields, found) {
  for (const [field, raw] of fields) {
    const record = { name: JSON.stringify([name, field]), raw, max: null }
    if (isCreds(field)) found.creds ??= record
    else if (isAllKeys(field)) found.blobs.push(record)
    else if (keyOf(field) === null) found.others++
    else found.records.push({ ...record, ...keyOf(field) })
  }
}

async function readGroup(redis, group, types) {
  const { strings, blobs, hashes, byType, wrong, others } = sortMembers(group.members, types)
  const [[credsText], texts, blobTexts, hashFields, typeFields] = await Promise.all([
    types.get(group.creds) === 'string' ? redis.get([group.creds]) : [undefined],
    redis.get(strings.map(({ name }) => name)),
    redis.get(blobs),
    redis.getFields(hashes),
    redis.getFields(byType.map(({ name }) => name))
  ])
  if (credsText === undefined)
    throw new HybridAuthError('LOCAL_CORRUPT', `the credentials are not a string but a ${types.get(group.creds) ?? 'key of another type'}`)
  const found = {
    creds: credsText === null ? null : { name: group.creds, raw: credsText, max: null },
    records: [],
    blobs: [],
    others,
    wrong
  }
  strings.forEach((key, i) => {
    if (texts[i] !== undefined) found.records.push({ ...key, raw: texts[i], max: null })
  })
  blobs.forEach((name, i) => found.blobs.push({ name, raw: blobTexts[i] ?? null, max: null }))
  hashes.forEach((name, i) => fieldRecords(name, hashFields[i], found))
  byType.forEach(({ name, type }, i) => {
    for (const [id, raw] of typeFields[i]) found.records.push({ name: JSON.stringify([name, id]), type, id, raw, max: null })
  })
  return found
}

/** The hashes among `names` that hold credentials: name -> field. */
async function hashesWithCreds(redis, names) {
  const found = new Map()
  for (const field of CREDS) {
    const values = await redis.getField(names, field)
    names.forEach((name, i) => {
      if (values[i] !== null && !found.has(name)) found.set(name, field)
    })
  }
  return found
}

async function readHash(redis, name) {
  const [fields] = await redis.getFields([name])
  const found = { creds: null, records: [], blobs: [], others: 0 }
  fieldRecords(name, fields, found)
  return found
}

/** The name of a session whose hash some packages call `name:auth` or `auth:name`. */
const withoutAuth = (name) => name.replace(/:auth$/, '').replace(/^auth:/, '')

/** The sessions of a Redis. */
async function openRedis({ url, match = '*' }) {
  const connection = await guardedBy(() => connect(url))
  const redis = reader(connection)

  async function survey() {
    const types = await redis.scan(match)
    const { groups, loose } = groupNames(types.keys())
    const sessions = []
    let passedOver = loose.length
    const lone = groups.filter(({ members }) => !hasKeys(sortMembers(members, types)))
    const texts = await redis.get(lone.map(({ creds }) => creds))
    const isForeign = new Set(lone.filter((_, i) => !OF_CREDS.test(texts[i] ?? '')))
    for (const group of groups) {
      const { path, prefix, suffix } = group
      if (isForeign.has(group)) {
        passedOver += 1 + group.members.length
        continue
      }
      let known = { group, types }
      const fetch = async () => {
        const { group: found, types: kinds } = known ?? (await again())
        known = null
        return readGroup(redis, found, kinds)
      }
      /** As it is now, with what came since; names of other sessions are still theirs. */
      const again = async () => {
        const now = await redis.scan(matchOf(group))
        const others = groups.filter((other) => other !== group).map(({ creds }) => creds)
        const found = groupNames(new Set([...now.keys(), ...others])).groups.find(
          (each) => each.prefix === prefix && each.suffix === suffix
        )
        return { group: found ?? { ...group, members: [] }, types: now }
      }
      sessions.push({
        path,
        parts: partsOf(path),
        layout: layoutOf(sortMembers(group.members, types)),
        problem: null,
        fetch: () => guardedBy(fetch)
      })
    }
    const owned = new Set(groups.filter((group) => !isForeign.has(group)).flatMap(({ members }) => members.map(({ name }) => name)))
    const hashes = [...types].filter(([name, type]) => type === 'hash' && !owned.has(name)).map(([name]) => name)
    const withCreds = await hashesWithCreds(redis, hashes)
    for (const name of withCreds.keys()) {
      sessions.push({
        path: name,
        parts: partsOf(withoutAuth(name)),
        layout: HASHES,
        problem: null,
        fetch: () => guardedBy(() => readHash(redis, name))
      })
    }
    return { sessions, passedOver: passedOver - withCreds.size, withoutCreds: countOrphans(loose), empty: types.size === 0 ? ['*'] : [] }
  }
  return { survey: () => guardedBy(survey), close: connection.close }
}

/** Hashes of keys, found by the name of the session: `name`, or any name that ends with `:name`. */
async function openHashes({ url }) {
  const connection = await guardedBy(() => connect(url))
  const redis = reader(connection)
  async function keysOf(session) {
    const types = await redis.scan(`*${literal(session)}`)
    const names = [...types]
      .filter(([name, type]) => type === 'hash' && (name === session || name.endsWith(`:${session}`)))
      .map(([name]) => name)
    const fields = await redis.getFields(names)
    const found = fields.map((each, i) => {
      const records = { creds: null, records: [], blobs: [], others: 0 }
      fieldRecords(names[i], each, records)
      return records.records
    })
    const withKeys = found.filter((records) => records.some(({ type }) => isFamily(type)))
    if (withKeys.length > 1)
      throw new HybridAuthError('INVALID_OPTION', `${withKeys.length} hashes hold keys of this session: remove the ones that are not used`)
    return withKeys[0] ?? []
  }
  return { keysOf: (session) => guardedBy(() => keysOf(session)), close: connection.close }
}

module.exports = { openHashes, openRedis }
