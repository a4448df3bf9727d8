// The trial of a store's contract: over every kind of store, and over one that lacks one behaviour after the other.
//
// Invariants guarded: each entry fails where its behaviour is missing, with the remedy; nothing of a trial is left, and no other object is
// touched; an entry that was not tried is never `ok`.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, test } from '../../testkit/base/missing.mjs'
import { refusal, startRelay, withBody, withoutKeys } from '../../testkit/proxy/breaking.mjs'
import { hybrid, rejection, scene } from '../../testkit/processes/sessions.mjs'
import { sized } from '../support/size.mjs'
import * as postgres from '../../testkit/stores/postgres.mjs'
import * as redis from '../../testkit/stores/redis.mjs'
import * as seaweedfs from '../../testkit/stores/seaweedfs.mjs'
import * as supabase from '../../testkit/stores/supabase.mjs'

const require = createRequire(import.meta.url)
const { ENTRIES } = require('../../lib/tools/contract-entries.js')
const { contract } = require('../../lib/tools/contract.js')
const { resolveOptions } = require('../../lib/config/options.js')
const NAMES = [...ENTRIES.map(({ name }) => `contract-${name}`), 'contract-clean']

const servers = new Map()
after(async () => {
  for (const server of servers.values()) await (await server).stop()
})
/** The address of a server that is started once. */
async function addressOf(store) {
  if (!servers.has(store)) servers.set(store, store.start())
  return (await servers.get(store)).address
}

/** The usual checks, all well. */
const WELL = ['reachable', 'write', 'list', 'read', 'delete', 'clock'].map((name) => ({ name, outcome: 'ok', skewMs: 0 }))
const byName = (checks) => Object.fromEntries(checks.map((check) => [check.name, check]))

/** Results of one entry alone, or at the full size of all. */
async function tryOne(options, entry) {
  if (sized(false, true)) return tryOut(options)
  return byName(
    await contract(
      resolveOptions('tenant', options).native,
      WELL,
      ENTRIES.filter(({ name }) => name === entry)
    )
  )
}

async function tryOut(options) {
  const checks = await new hybrid.HybridAuth(options).doctor({ contract: true })
  return byName(checks.filter(({ name }) => name.startsWith('contract-')))
}
const outcomes = (tried) => Object.fromEntries(Object.values(tried).map(({ name, outcome }) => [name, outcome]))
const all = (outcome) => Object.fromEntries(NAMES.map((name) => [name, outcome]))
const told = (tried) => JSON.stringify(Object.values(tried), null, 1)

test('a_directory_keeps_the_contract_and_is_left_as_it_was', async (t) => {
  const at = scene(t)
  mkdirSync(join(at.bucket, 'v1', 'claims'), { recursive: true })
  writeFileSync(join(at.bucket, 'v1', 'claims', 'other'), 'untouched')
  const tried = await tryOut(at.replicated)
  assert.deepEqual(outcomes(tried), all('ok'), told(tried))
  assert.deepEqual(
    readdirSync(join(at.bucket, 'v1')).filter((name) => name.startsWith('contract-')),
    []
  )
  assert.equal(readFileSync(join(at.bucket, 'v1', 'claims', 'other'), 'utf8'), 'untouched')
  assert.equal(existsSync(at.replicated.directory), false, 'a trial needs no disk of its own')
})

test('memory_keeps_the_contract_as_far_as_it_tells', async (t) => {
  const { replicated } = scene(t)
  const tried = await tryOut({ ...replicated, store: `memory://contract-${process.pid}` })
  const { 'contract-times': times, ...rest } = outcomes(tried)
  assert.deepEqual(rest, Object.fromEntries(Object.entries(all('ok')).filter(([name]) => name !== 'contract-times')), told(tried))
  assert.notEqual(times, 'failed')
})

for (const store of [seaweedfs, postgres, redis, supabase]) {
  test(`${store.kind}_keeps_the_contract_and_is_left_as_it_was`, async (t) => {
    const bucket = await store.connect(await addressOf(store)).makeBucket()
    const at = scene(t, {}, bucket.options)
    const session = await hybrid.useHybridAuthState('there', at.replicated)
    await session.saveCreds()
    await session.flush()
    const before = (await bucket.list()).sort()
    const tried = await tryOut(at.replicated)
    assert.deepEqual(outcomes(tried), all('ok'), told(tried))
    assert.deepEqual((await bucket.list()).sort(), before)
    await session.close()
  })
}

const inEntry = (entry, name) => name.includes(`/${entry}/`) || name.includes(`/${entry}x/`) || name.includes(`/${entry}-one/`)
/** Entry -> a flaw of a store that it must find. */
const FLAWS = {
  // The newest object is listed later.
  'list-after-put': () => {
    let newest = ''
    return async ({ method, name, isList }, forward) => {
      if (method === 'PUT') newest = name
      return isList ? withoutKeys(await forward(), (key) => key === newest) : forward()
    }
  },
  // A page for people instead of 404.
  absent:
    () =>
    async ({ method, isList }, forward) => {
      const answer = await forward()
      return method === 'GET' && !isList && answer.status === 404 ? { ...withBody(answer, '<html>not found</html>'), status: 200 } : answer
    },
  contents:
    () =>
    async ({ method, isList }, forward) => {
      const answer = await forward()
      return method === 'GET' && !isList && answer.body.length === 100_000
        ? withBody(answer, Buffer.concat([answer.body.subarray(0, 99_999), Buffer.from('x')]))
        : answer
    },
  // The second one is added to the first. (A store that refuses it fails the usual checks.)
  again:
    () =>
    async ({ method, isList }, forward) => {
      const answer = await forward()
      return method === 'GET' && !isList ? withBody(answer, Buffer.concat([answer.body, answer.body])) : answer
    },
  // It says that it removed.
  remove:
    () =>
    async ({ method }, forward) =>
      method === 'DELETE' ? { status: 204, message: '', rawHeaders: [], body: Buffer.alloc(0) } : forward(),
  // The prefix of a name is ignored.
  folders:
    () =>
    async ({ isList, name }, forward) => {
      const answer = await forward()
      if (!isList || !name.endsWith('/a.')) return answer
      return withBody(
        answer,
        answer.body
          .toString()
          .replace(
            '<Contents>',
            (found) =>
              `<Contents><Key>${name}-foreign</Key><LastModified>2026-01-01T00:00:00Z</LastModified><ETag>"e"</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>${found}`
          )
      )
    },
  // The first page is taken for all of it.
  pages:
    () =>
    async ({ isList }, forward) => {
      const answer = await forward()
      return isList
        ? withBody(
            answer,
            answer.body
              .toString()
              .replace('<IsTruncated>true</IsTruncated>', '<IsTruncated>false</IsTruncated>')
              .replace(/<NextContinuationToken>.*?<\/NextContinuationToken>/s, '')
          )
        : answer
    },
  names:
    () =>
    async ({ method, name }, forward) =>
      method === 'PUT' && name.length > 200 ? refusal(400, 'KeyTooLongError') : forward(),
  large:
    () =>
    async ({ method, body }, forward) =>
      method === 'PUT' && body.length > 1 << 20 && body.length !== 4 << 20 ? refusal(400, 'InvalidRequest') : forward(),
  // What is being stored can be read in part.
  whole: () => {
    let storing = null
    return async ({ method, name, isList, body }, forward) => {
      if (method === 'PUT' && name.endsWith('/whole')) {
        storing = name
        await new Promise((resolve) => setTimeout(resolve, 300))
        const answer = await forward()
        storing = null
        return answer
      }
      if (method === 'GET' && !isList && name === storing)
        return {
          status: 200,
          message: '',
          rawHeaders: ['Content-Length', '100', 'ETag', '"e"', 'Last-Modified', new Date().toUTCString()],
          body: Buffer.alloc(100)
        }
      return forward({ body })
    }
  },
  // Under load some are acknowledged and lost.
  concurrent: () => {
    let underWay = 0
    return async ({ method }, forward) => {
      if (method !== 'PUT') return forward()
      underWay += 1
      try {
        if (underWay > 12) return { status: 200, message: '', rawHeaders: ['Content-Length', '0', 'ETag', '"e"'], body: Buffer.alloc(0) }
        return await forward()
      } finally {
        underWay -= 1
      }
    }
  },
  times:
    () =>
    async ({ isList }, forward) => {
      const answer = await forward()
      return isList
        ? withBody(
            answer,
            answer.body.toString().replace(/<LastModified>.*?<\/LastModified>/gs, '<LastModified>2020-01-01T00:00:00.000Z</LastModified>')
          )
        : answer
    }
}
/** Part of the remedy of each. */
const REMEDY = {
  'list-after-put': /switch off caches/,
  absent: /404/,
  contents: /proxies/,
  again: /stored again is not returned/,
  remove: /may remove objects/,
  folders: /prefix/,
  pages: /another one/,
  names: /names/,
  large: /raise the limits/,
  whole: /whole or not at all/,
  concurrent: /under load/,
  times: /clock/
}

test('each_behaviour_that_is_missing_fails_its_entry_alone_and_names_the_remedy', async (t) => {
  assert.deepEqual(
    Object.keys(FLAWS),
    ENTRIES.map(({ name }) => name)
  )
  const address = await addressOf(seaweedfs)
  const relay = await startRelay(address.endpoint)
  t.after(() => relay.stop())
  for (const [entry, flaw] of Object.entries(FLAWS)) {
    const bucket = await seaweedfs.connect(address, { endpoint: relay.origin }).makeBucket()
    const at = scene(t, {}, bucket.options)
    const breaks = flaw()
    relay.flaw = (request, forward) => (inEntry(entry, `${request.name}/`) ? breaks(request, forward) : forward())
    const tried = await tryOne(at.replicated, entry)
    relay.flaw = null
    const failed = Object.values(tried)
      .filter(({ outcome }) => outcome === 'failed')
      .map(({ name }) => name)
    // What is not removed is left.
    assert.deepEqual(failed, entry === 'remove' ? ['contract-remove', 'contract-clean'] : [`contract-${entry}`], `${entry}: ${told(tried)}`)
    assert.match(tried[`contract-${entry}`].message, REMEDY[entry])
    if (entry !== 'remove') assert.deepEqual(await bucket.list(), [], entry)
  }
})

test('objects_that_cannot_be_removed_are_named_with_their_folder', async (t) => {
  const address = await addressOf(seaweedfs)
  const relay = await startRelay(address.endpoint)
  t.after(() => relay.stop())
  const bucket = await seaweedfs.connect(address, { endpoint: relay.origin }).makeBucket()
  relay.flaw = ({ method, name }, forward) => (method === 'DELETE' && name.includes('/again/') ? refusal(403, 'AccessDenied') : forward())
  const { 'contract-clean': clean } = await tryOut(scene(t, {}, bucket.options).replicated)
  assert.equal(clean.outcome, 'failed')
  const [left] = await bucket.list()
  assert.ok(left.startsWith(clean.folder) && clean.message.includes(clean.folder), clean.message)
})

test('a_store_that_fails_the_usual_checks_is_not_tried', async (t) => {
  const at = scene(t)
  const missing = await tryOut({ ...at.replicated, store: { kind: 'directory', path: join(at.root, 'missing') } })
  assert.deepEqual(outcomes(missing), all('unknown'))
  assert.match(missing['contract-pages'].message, /`reachable`/)
  assert.deepEqual(outcomes(await tryOut(at.local)), {}, 'there is no store')
  const refused = await rejection(new hybrid.HybridAuth(at.replicated).doctor({ contract: 'yes' }))
  assert.equal(refused.code, 'INVALID_OPTION')
  assert.deepEqual(
    (await new hybrid.HybridAuth(at.replicated).doctor()).filter(({ name }) => name.startsWith('contract-')),
    [],
    'not unless asked'
  )
})
