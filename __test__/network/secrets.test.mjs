// Everything that a run leaves for others to read, searched for everything that must not be in it: credentials, keys, contacts,
// and the id of the tenant, which is a phone number.
//
// Invariant guarded: logs, events, errors and status hold none of it, in no encoding, also where a server, a proxy or a certificate
// is wrong and where a server repeats it all in its answers. On the wire a credential stands in the header that is made for it and
// nowhere else; names of objects hold no contact, and the tenant only where that is not hidden.

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { fileURLToPath } from 'node:url'
import { test } from '../../testkit/base/missing.mjs'
import { atEnd, scratch } from '../../testkit/processes/machines.mjs'
import { startTls } from '../../testkit/tls/https.mjs'
import { found, formsOf } from './forms.mjs'
import { KINDS, makePlace, objectsNow, pointedTo } from './places.mjs'
import { chosen, sized } from '../support/size.mjs'

const TENANT = '4915112345678'
const CONTACTS = {
  contact: '4915187654321@s.whatsapp.net',
  device: '4915187654321.17',
  group: '120363025246125486@g.us',
  lid: '167890123456789@lid',
  number: '4915187654321'
}
const PROGRAM = fileURLToPath(new URL('./child-talker.mjs', import.meta.url))
/** The headers that carry credentials; their values, and nothing else, are left out of the search. */
const CREDENTIALS = /^(authorization|apikey): .*$/gim
/** A proxy that nobody is behind, whose address holds a password. */
const PASSWORD = `hush-${randomBytes(12).toString('hex')}`

/** Credentials of a kind, named; a key that is a document counts with each of its parts. */
function credentialsIn({ store }) {
  const { accessKeyId, secretAccessKey, key, credentials } = store
  if (credentials !== undefined) {
    const { private_key: pem, private_key_id: id } = JSON.parse(credentials)
    const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'))
    return { 'key id': id, 'first line of the private key': lines[0], 'last whole line of the private key': lines.at(-2) }
  }
  if (key === undefined) return { 'access key id': accessKeyId, 'secret access key': secretAccessKey }
  return { 'service key': key, 'its payload': key.split('.')[1], 'its signature': key.split('.')[2] }
}

/** Credentials that nearly are those of the store. */
function spoiltIn({ key, secretAccessKey, credentials }) {
  if (credentials !== undefined) return { credentials: { ...JSON.parse(credentials), client_email: 'nobody@project.invalid' } }
  return key === undefined ? { secretAccessKey: `${secretAccessKey}x` } : { key: `${key.slice(0, -4)}AAAA` }
}

/** A child whose output is recorded. */
function startTalker(t, recorded) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_TEST|.*_PROXY$)/i.test(name)))
  const child = fork(PROGRAM, [], {
    env: { ...env, HTTP_PROXY: `http://user:${PASSWORD}@127.0.0.1:1`, RUST_LOG: 'trace', RUST_BACKTRACE: 'full' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced'
  })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => recorded.push(text))
  const ended = once(child, 'close')
  const waiting = new Map()
  let next = 1
  child.on('message', ({ id, outcome }) => waiting.get(id)(outcome))
  atEnd(t, async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    call(command, ...args) {
      const id = next++
      return Promise.race([
        new Promise((resolve) => {
          waiting.set(id, resolve)
          child.send({ id, command, args })
        }),
        ended.then(() => {
          throw new Error(`the process ended: ${Buffer.concat(recorded)}`)
        })
      ])
    },
    async end() {
      child.send({ command: 'end' })
      await ended
    }
  }
}

/** Answers of a server that repeats all it was told, and more. */
function echoes(secrets) {
  const all = Object.values(secrets)
    .map((secret) => Buffer.from(secret).toString('latin1'))
    .join(' ')
  const inXml = all.replace(/[&<>\0-\x1f\x7f-\xff]/g, (c) => `&#${c.charCodeAt(0)};`).replace(/&#([0-8]|1[124-9]|2\d|3[01]);/g, '')
  const xml = (code) => `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${inXml}</Message><Resource>/${TENANT}</Resource></Error>`
  const json = (code) => JSON.stringify({ statusCode: '403', error: all, message: all, code })
  const headers = { 'X-Echo': encodeURIComponent(all), Location: `http://store.invalid/${TENANT}` }
  const bodies = ['AccessDenied', TENANT, CONTACTS.contact, 'Unheard_of'].flatMap((code) => [xml(code), json(code)])
  return [...bodies, all, `<html>${all}</html>`].flatMap((body) =>
    [403, 400, 301].map((status) => ({ fault: 'status', status, headers, body }))
  )
}

async function makeScene(t, kind, { hideTenantIds }) {
  const place = await makePlace(t, kind, { traceAll: true })
  const recorded = []
  const keys = [randomBytes(32), randomBytes(32)]
  const { store } = place.bucket.options
  const marks = { 'value of a session': randomBytes(24), 'noise key': randomBytes(32), password: PASSWORD }
  const secrets = { ...CONTACTS, ...credentialsIn({ store }), ...marks, 'encryption key': keys[0], 'other key': keys[1] }
  const options = { ...place.bucket.options, directory: scratch(t), encryptionKeys: [keys[0].toString('hex')], hideTenantIds }
  return { ...place, store, recorded, keys, marks, secrets, options }
}

/** A session's life with everything that may happen to it. */
async function live(t, { proxy, store, recorded, keys, marks, secrets, options, requests }) {
  const talker = startTalker(t, recorded)
  const { call } = talker
  const again = (more) => ({ ...options, directory: scratch(t), ...more })
  const expect = async (outcome, wanted, what) => assert.ok([wanted].flat().includes(await outcome), `${what}: ${await outcome}`)
  const write = (n) =>
    call('set', {
      session: { [CONTACTS.device]: { n, record: marks['value of a session'] } },
      'sender-key': { [`${CONTACTS.group}::${CONTACTS.number}::0`]: { n } },
      'lid-mapping': { [CONTACTS.number]: CONTACTS.lid }
    })

  await expect(call('open', TENANT, options), 'ok', 'open')
  await call('saveCreds', { me: { id: CONTACTS.contact }, noiseKey: marks['noise key'] })
  await expect(write(1), 'ok', 'set')
  await expect(call('get', 'session', [CONTACTS.device, `${CONTACTS.contact}-absent`]), 'ok', 'get')
  await expect(call('flush'), 'ok', 'flush')
  await expect(call('set', { session: { [CONTACTS.contact.padEnd(5000, '.')]: { n: 1 } } }), 'INVALID_OPTION', 'an id that is too long')
  await expect(call('set', { [CONTACTS.contact.padEnd(300, '.')]: { a: { n: 1 } } }), 'INVALID_OPTION', 'a type that is too long')

  // A running session meets refusals that repeat everything.
  for (const echo of echoes(secrets)) {
    const rule = proxy.rule({ ...requests.list, ...echo })
    await write(Math.random())
    await expect(call('flush', { timeoutMs: 100 }), ['REMOTE_UNAVAILABLE', 'ok'], 'flush')
    await call('status')
    rule.remove()
  }
  await expect(call('told', ['degraded', 'recovered', 'backup']), 'ok', 'an outage')
  await expect(call('metrics'), 'ok', 'metrics of a running session')

  // Opens that fail, each on a blank machine: at an answer of the server, or before there is one.
  const REFUSED = ['REMOTE_REFUSED', 'REMOTE_UNAVAILABLE']
  for (const [n, echo] of echoes(secrets).entries()) {
    const rule = proxy.rule(echo)
    await expect(call('tryOpen', TENANT, again({ maxConcurrentRequests: 65 + n })), REFUSED, JSON.stringify(echo))
    rule.remove()
  }
  const wrong = (fields) => ({ store: { ...store, ...fields } })
  const tls = await startTls(proxy.origin)
  atEnd(t, () => tls.stop())
  const file = join(scratch(t), 'file')
  writeFileSync(file, 'not a directory')
  const misplaced = {
    store: `s3://${encodeURIComponent(Object.values(secrets)[5])}:${encodeURIComponent(Object.values(secrets)[6])}@bucket`
  }
  const failures = [
    [again(wrong(spoiltIn(store))), REFUSED],
    [again(wrong({ bucket: 'no-such-bucket' })), REFUSED],
    [again({ store: pointedTo(store, 'http://store.invalid') }), REFUSED],
    [again({ store: pointedTo(store, tls.origin) }), REFUSED],
    [again({ encryptionKeys: [keys[1]] }), 'KEY_UNAVAILABLE'],
    ...(options.hideTenantIds ? [] : [[again({ hideTenantIds: true }), 'INVALID_OPTION']]),
    [again({ encryptionKeys: [`${keys[1].toString('hex')}0`] }), 'INVALID_OPTION'],
    [again(misplaced), 'INVALID_OPTION'],
    [again(wrong({ [keys[1].toString('hex')]: 1 })), 'INVALID_OPTION'],
    [again({ [PASSWORD]: PASSWORD }), 'INVALID_OPTION'],
    [again({ directory: file }), 'LOCAL_UNAVAILABLE']
  ]
  await Promise.all(failures.map(async ([broken, wanted], n) => expect(call('tryOpen', TENANT, broken), wanted, `failure ${n}`)))

  // Files of another kind that are damaged, and a folder that another process has.
  const imported = again()
  mkdirSync(join(imported.directory, TENANT), { recursive: true })
  writeFileSync(join(imported.directory, TENANT, 'creds.json'), `{"me":{"id":"${CONTACTS.contact}"},`)
  await expect(call('tryOpen', TENANT, imported), 'LOCAL_CORRUPT', 'a damaged import')
  const other = startTalker(t, recorded)
  await expect(other.call('tryOpen', TENANT, options), 'ALREADY_OPEN', 'a second process')

  // Somebody else takes the session over, with all that there is, so that it can be closed; then it is damaged, and logged out.
  await expect(call('flush'), 'ok', 'flush before the takeover')
  await expect(other.call('open', TENANT, again()), 'ok', 'takeover')
  await expect(call('told', ['fenced']), 'ok', 'fenced')
  await expect(write(0), 'FENCED', 'set after the takeover')
  await expect(call('close'), 'ok', 'close')
  await proxy.outage('refuse')
  await expect(other.call('saveCreds', { generation: 2 }), 'ok', 'saveCreds')
  await expect(other.call('close', { timeoutMs: 300 }), 'REMOTE_UNAVAILABLE', 'close during an outage')
  await proxy.heal()
  const flip = proxy.rule({ method: 'GET', path: '/v1/data/', fault: 'flip', at: -20 })
  await expect(call('tryOpen', TENANT, again({ handoverTimeoutMs: 0 })), 'REMOTE_CORRUPT', 'a damaged object')
  flip.remove()
  await expect(call('open', TENANT, again({ handoverTimeoutMs: 0 })), 'ok', 'open again')
  await expect(call('told', ['restored']), 'ok', 'restored')
  await expect(call('delete'), 'ok', 'delete')
  await expect(call('tryOpen', TENANT, again()), 'DELETED', 'open after a logout')
  await expect(call('tryOpen', `${TENANT}0`, again({ onMissing: 'error' })), 'NOT_FOUND', 'open of nobody')
  await expect(call('metrics'), 'ok', 'metrics after all of it')
  await talker.end()
  await other.end()
}

test('every_form_of_a_secret_is_found_wherever_it_stands', () => {
  for (const secret of [TENANT, CONTACTS.contact, CONTACTS.group, PASSWORD, randomBytes(32)]) {
    for (const { form, text } of formsOf(secret)) assert.ok(found(`some text: ${text}, and more`, { secret }).length > 0, form)
    const bytes = Buffer.from(secret)
    for (let before = 0; before < 7; before++) {
      const longer = Buffer.concat([randomBytes(before), bytes, randomBytes(5)])
      const texts = [longer.toString('base64'), longer.toString('base64url'), longer.toString('hex').toUpperCase()]
      for (const text of texts) assert.ok(found(text, { secret }).length > 0, text)
    }
    assert.deepEqual(found('some text: 4915112345679 4915187654320@s.whatsapp.net, and more', { secret }), [])
  }
})

/** One store with tenants hidden, another with tenants that all can see. */
const hiding = (kind) =>
  kind === 'gcs' || kind === 'supabase' ? chosen([true, false], (isHidden) => isHidden === (kind === 'gcs')) : sized([], [true, false])

describe('secrets', { concurrency: 100 }, () => {
  for (const kind of [...KINDS, 'gcs']) {
    for (const hideTenantIds of hiding(kind)) {
      test(`nothing_that_others_can_read_holds_a_secret_over_${kind}_with_tenants_${hideTenantIds ? 'hidden' : 'visible'}`, async (t) => {
        const scene = await makeScene(t, kind, { hideTenantIds })
        const { proxy, bucket, secrets, recorded } = scene
        await live(t, scene)
        await proxy.idle()

        const said = Buffer.concat(recorded).toString()
        assert.ok(
          said.includes('REMOTE_REFUSED') && said.includes('session degraded') && said.includes('session backup'),
          'it was recorded'
        )
        assert.match(said, /baileys_hybrid_auth_sessions\{life="live"\} 1\b/, 'the metrics as well')
        assert.deepEqual(found(said, { ...secrets, tenant: TENANT }), [])

        const heads = proxy.trace
          .flatMap(({ requestHead, answerHead = '', fault }) => [requestHead, fault === 'status' ? '' : answerHead])
          .join('\n')
        const stripped = heads.replace(CREDENTIALS, '$1: ')
        assert.ok(proxy.trace.length > 100 && stripped.length < heads.length)
        // Bearers and signatures, which are made while it runs.
        const authorized = new Set([...heads.matchAll(CREDENTIALS)].map(([line]) => line.split(/[ =]/).at(-1).trim()))
        assert.deepEqual(
          [...authorized].filter((word) => word.length > 20 && said.includes(word)),
          []
        )
        assert.deepEqual(found(stripped, hideTenantIds ? { ...secrets, tenant: TENANT } : secrets), [])
        // A visible tenant stands in the names of its objects: in the first line of a request, and in no header.
        const headers = stripped.replace(/^(GET|PUT|POST|DELETE|HEAD) .*$/gm, '')
        assert.deepEqual(found(headers, { tenant: TENANT }), [])
        assert.equal(stripped.includes(`/v1/data/${TENANT}/`) || stripped.includes(`v1%2Fdata%2F${TENANT}`), !hideTenantIds)

        const stored = [...(await objectsNow(bucket))]
          .map(([name, bytes]) => `${hideTenantIds ? name : ''}\n${bytes.toString('latin1')}`)
          .join('\n')
        assert.ok(stored.length > 100)
        assert.deepEqual(found(stored, { ...secrets, tenant: TENANT }), [])
      })
    }
  }
})
