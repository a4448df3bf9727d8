// The way to the store: names that do not resolve, certificates, and proxies from the environment, each in a process of its own.
//
// Invariant guarded: a name that is not found is an outage, a certificate that is not trusted is something to mend and is never
// waved through; the environment's proxy is used for what is away from here, and never for what is on this machine.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { test } from '../../testkit/base/missing.mjs'
import { atEnd, KEY, scratch } from '../../testkit/processes/machines.mjs'
import { startForwardProxy } from '../../testkit/proxy/proxy.mjs'
import { startProcess } from '../../testkit/processes/sessions.mjs'
import { startTls } from '../../testkit/tls/https.mjs'
import { KINDS, makePlace, pointedTo } from './places.mjs'
import { further } from '../support/size.mjs'

/** Environment without proxies: a process knows only those that a test gives it, whatever this run has. */
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY']
const NO_PROXIES = Object.fromEntries(
  PROXIES.flatMap((name) => [
    [name, undefined],
    [name.toLowerCase(), undefined]
  ])
)
const hostOf = (origin) => new URL(origin).host

/** A session's life on one machine and its restore on another. */
async function program({ hybrid, args, say }) {
  const { cheapBaileys } = await import(args.baileys)
  let made = 0
  const initAuthCreds = () => {
    made += 1
    return cheapBaileys.initAuthCreds()
  }
  const options = { ...args.options, baileys: cheapBaileys, initAuthCreds }
  const open = (disk) => hybrid.useHybridAuthState('tenant', { ...options, directory: `${args.folder}/${disk}` })
  try {
    const session = await open('one')
    await session.saveCreds()
    await session.state.keys.set({ session: { a: { n: 1 } } })
    await session.flush()
    await session.close()
    const heir = await open('two')
    const {
      restored: { source }
    } = heir.status()
    const { a } = await heir.state.keys.get('session', ['a'])
    await heir.close()
    await say({ source, a, made })
  } catch (error) {
    await say({ code: error.code, message: error.message, made })
  }
}

/** Outcome of a life at `endpoint`, in an environment. */
async function live(t, { bucket }, endpoint, { env = {}, caCertificate } = {}) {
  const store = pointedTo(bucket.options.store, endpoint)
  const options = { ...bucket.options, store, encryptionKeys: [KEY], flushIntervalMs: 50, ownershipCheckIntervalMs: 200, caCertificate }
  const baileys = new URL('../../testkit/baileys/cheap.mjs', import.meta.url).href
  const { said, ended } = startProcess(t, program, { options, baileys, folder: scratch(t) }, { env: { ...NO_PROXIES, ...env } })
  const outcome = await said()
  const { stdout, stderr } = await ended
  assert.deepEqual([stdout, stderr], ['', ''])
  return outcome
}

const WELL = { source: 'remote', a: { n: 1 }, made: 1 }

function assertFailed({ code, message, made }, wanted, words) {
  assert.equal(code, wanted, message)
  assert.match(message, words)
  assert.equal(made, 0, 'no credentials were made')
}

async function makeForwardProxy(t, hosts) {
  const forward = await startForwardProxy({ hosts })
  atEnd(t, () => forward.stop())
  return forward
}

async function makeTls(t, { proxy }, options) {
  const tls = await startTls(proxy.origin, options)
  atEnd(t, () => tls.stop())
  return tls
}

describe('reach', { concurrency: 100 }, () => {
  for (const kind of KINDS) {
    // A variable of its own is all that one store knows of the way that the other does not.
    const once = kind === 'supabase' ? test : further
    once(`host_name_that_does_not_resolve_is_an_outage_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      assertFailed(await live(t, place, 'http://store.invalid'), 'REMOTE_UNAVAILABLE', /the host name is not found/)
      assert.equal(place.proxy.trace.length, 0)
    })

    once(`certificate_that_nobody_vouches_for_is_refused_and_the_option_is_named_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      const tls = await makeTls(t, place)
      assertFailed(await live(t, place, tls.origin), 'REMOTE_REFUSED', /certificate is not trusted.*`caCertificate`/)
      assert.equal(place.proxy.trace.length, 0, 'nothing was sent')

      // Another authority is no help, nor is the right one for a certificate of yesterday or of somebody else.
      const other = await makeTls(t, place)
      assertFailed(await live(t, place, tls.origin, { caCertificate: other.ca }), 'REMOTE_REFUSED', /certificate/)
      const expired = await makeTls(t, place, { expired: true })
      assertFailed(await live(t, place, expired.origin, { caCertificate: expired.ca }), 'REMOTE_REFUSED', /certificate/)
      const misnamed = await makeTls(t, place, { names: ['store.invalid'] })
      assertFailed(await live(t, place, misnamed.origin, { caCertificate: misnamed.ca }), 'REMOTE_REFUSED', /certificate/)
      assert.equal(place.proxy.trace.length, 0)
      assert.deepEqual(await place.bucket.list(), [])
    })

    test(`certificate_of_an_authority_that_was_given_is_trusted_however_it_was_given_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      const tls = await makeTls(t, place)
      const file = join(scratch(t), 'authority.pem')
      writeFileSync(file, tls.ca)
      const ways = [{ caCertificate: tls.ca }, { caCertificate: file }, { env: { NODE_EXTRA_CA_CERTS: file } }]
      if (kind !== 'supabase') ways.push({ env: { AWS_CA_BUNDLE: file } })
      for (const way of ways) {
        const before = tls.handshakes
        assert.deepEqual(await live(t, await makePlace(t, kind), tls.origin, way), WELL)
        assert.ok(tls.handshakes > before)
      }
    })

    once(`proxy_of_the_environment_leads_to_a_name_that_only_it_knows_over_${kind}`, async (t) => {
      await Promise.all(
        ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'].map(async (name) => {
          const place = await makePlace(t, kind)
          const forward = await makeForwardProxy(t, { 'store.invalid:80': hostOf(place.proxy.origin) })
          assert.deepEqual(await live(t, place, 'http://store.invalid', { env: { [name]: forward.origin } }), WELL, name)
          // A request that was given up on the way, for its second try, is known to the first of the two only.
          assert.ok(place.proxy.trace.length > 0 && place.proxy.trace.length <= forward.targets.length)
          assert.deepEqual([...new Set(forward.targets.map(({ host }) => host))], ['store.invalid'])
        })
      )
    })

    once(`proxy_that_does_not_know_the_way_is_an_outage_and_one_that_is_not_for_a_host_is_not_asked_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      const forward = await makeForwardProxy(t)
      const env = { HTTP_PROXY: forward.origin }
      const [unknown, own] = await Promise.all([
        live(t, place, 'http://elsewhere.invalid', { env }),
        live(t, place, 'http://store.invalid', { env: { ...env, NO_PROXY: 'store.invalid' } })
      ])
      assertFailed(unknown, 'REMOTE_UNAVAILABLE', /status 502/)
      assertFailed(own, 'REMOTE_UNAVAILABLE', /the host name is not found/)
      assert.deepEqual([...new Set(forward.targets.map(({ host }) => host))], ['elsewhere.invalid'])
    })

    once(`secure_connections_go_through_a_tunnel_and_are_checked_at_their_end_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      const tls = await makeTls(t, place, { names: ['store.invalid'] })
      const forward = await makeForwardProxy(t, { 'store.invalid:443': hostOf(tls.origin) })
      const env = { HTTPS_PROXY: forward.origin }
      assertFailed(await live(t, place, 'https://store.invalid', { env }), 'REMOTE_REFUSED', /certificate/)
      assert.deepEqual(await live(t, place, 'https://store.invalid', { env, caCertificate: tls.ca }), WELL)
      assert.deepEqual([...new Set(forward.targets.map(({ method, host }) => `${method} ${host}`))], ['CONNECT store.invalid:443'])
    })

    once(`what_is_on_this_machine_is_never_reached_through_a_proxy_over_${kind}`, async (t) => {
      const forward = await makeForwardProxy(t)
      const env = { HTTP_PROXY: forward.origin, http_proxy: forward.origin, HTTPS_PROXY: forward.origin, ALL_PROXY: forward.origin }
      for (const name of ['127.0.0.1', 'localhost']) {
        const place = await makePlace(t, kind)
        assert.deepEqual(await live(t, place, place.proxy.origin.replace('127.0.0.1', name), { env }), WELL, name)
      }
      assert.deepEqual(forward.targets, [])
    })

    once(`proxy_that_is_gone_is_an_outage_over_${kind}`, async (t) => {
      const place = await makePlace(t, kind)
      const forward = await startForwardProxy()
      await forward.stop()
      assertFailed(
        await live(t, place, 'http://store.invalid', { env: { HTTP_PROXY: forward.origin } }),
        'REMOTE_UNAVAILABLE',
        /no connection/
      )
    })
  }
})
