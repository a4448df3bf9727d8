// A new WhatsApp identity is never silent, and removing the folder of a session is no logout.
//
// Invariant guarded: each open that begins with a new identity says so at level `warn`, by an event and by a count, and how it came
// about; a session whose folder somebody removed comes back out of its store, and that is said.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { hybrid, rejection, scene, told } from '../../testkit/processes/sessions.mjs'

const { freshCounts } = createRequire(import.meta.url)('../../lib/session/fresh.js')

/** A logger, and the lines at level `warn` and above. */
function recording() {
  const lines = []
  const at = (level) => (details, message) => lines.push({ level, ...details, said: message })
  return { logger: { debug() {}, info() {}, warn: at('warn'), error: at('error') }, lines }
}

/** Opens a tenant; answers the session, its lines about a new identity or a removed folder, and its event of this name. */
async function opened(at, options, event, tenant = 'tenant') {
  const { logger, lines } = recording()
  const session = await at.open(tenant, { ...options, logger })
  const news = event === undefined ? undefined : await told(session, event)
  return { session, news, lines: lines.filter(({ event }) => ['fresh', 'error'].includes(event)) }
}

/** Counts that `work` adds. */
async function counted(work) {
  const before = freshCounts()
  await work()
  return Object.fromEntries(
    Object.entries(freshCounts())
      .map(([reason, n]) => [reason, n - before[reason]])
      .filter(([, n]) => n > 0)
  )
}

const LOOKED_AT = {
  local: ['local', /nothing in the local log; no store/],
  replicated: ['replicated', /nothing in the store, nothing in the local log/],
  cloud: ['replicated', /nothing in the store$/]
}

for (const [name, [mode, words]] of Object.entries(LOOKED_AT)) {
  test(`a_new_identity_in_${name}_mode_is_logged_told_and_counted_with_the_places_that_were_looked_at`, async (t) => {
    const at = scene(t)
    const { directory, ...rest } = at[mode]
    const options = name === 'cloud' ? { ...rest, mode: 'cloud' } : at[mode]
    const before = await counted(async () => {
      const { session, news, lines } = await opened(at, options, 'fresh', '+49-30-1234567')
      assert.equal(news.reason, 'missing')
      assert.match(news.message, words)
      assert.ok(!news.message.includes('1234567') && !news.message.includes(directory))
      assert.deepEqual(lines, [{ level: 'warn', event: 'fresh', ...news, said: 'session fresh' }])
      // Nothing was stored, so the next one begins anew as well.
      await session.close()
      assert.equal((await opened(at, options, 'fresh', '+49-30-1234567')).news.reason, 'missing')
    })
    assert.deepEqual(before, { missing: 2 })
  })
}

test('a_session_that_is_there_is_no_new_identity', async (t) => {
  const at = scene(t)
  const first = await at.openReplicated('tenant')
  await first.saveCreds()
  const before = await counted(async () => {
    for (const options of [at.replicated, at.elsewhere()]) {
      const { session, lines } = await opened(at, options)
      await session.close()
      assert.deepEqual(lines, [])
    }
  })
  assert.deepEqual(before, {})
})

test('what_was_asked_for_by_fresh_is_told_as_that', async (t) => {
  const at = scene(t)
  const first = await at.openReplicated('tenant')
  await first.saveCreds()
  await first.delete()
  const { news } = await opened(at, { ...at.replicated, fresh: true }, 'fresh')
  assert.equal(news.reason, 'asked')
})

test('keys_without_credentials_are_told_as_a_new_identity_and_refused_where_none_may_be_made', async (t) => {
  for (const mode of ['local', 'replicated']) {
    const at = scene(t)
    const first = await at.open('tenant', at[mode])
    await first.state.keys.set({ 'lid-mapping': { a: 'b' } })
    await first.close()
    const refused = await rejection(at.open('tenant', { ...at[mode], onMissing: 'error' }))
    assert.equal(refused.code, 'NOT_FOUND')
    assert.match(refused.message, /has keys but no credentials/)
    const { session, news } = await opened(at, at[mode], 'fresh')
    assert.equal(news.reason, 'no-credentials')
    assert.deepEqual({ ...(await session.state.keys.get('lid-mapping', ['a'])) }, { a: 'b' }, 'nothing was lost')
  }
})

for (const isOpen of [true, false]) {
  test(`a_removed_folder_is_no_logout_where_there_is_a_store_with_the_session_${isOpen ? 'open' : 'closed'}`, async (t) => {
    const at = scene(t)
    const first = await at.openReplicated('tenant')
    first.state.creds.me = { id: 'the-account' }
    await first.saveCreds()
    await first.flush()
    if (!isOpen) await first.close()
    rmSync(join(at.directory, 'tenant'), { recursive: true })
    const { session, news, lines } = await opened(at, at.replicated, 'error')
    assert.equal(session.state.creds.me.id, 'the-account')
    assert.ok(news instanceof hybrid.HybridAuthError)
    assert.match(news.message, /folder of this session was removed.*`delete\(\)`/)
    assert.deepEqual(lines, [{ level: 'warn', event: 'error', code: 'LOCAL_CORRUPT', message: news.message, said: 'session error' }])
    await session.delete()
    assert.equal((await rejection(at.openReplicated('tenant'))).code, 'DELETED')
    const again = await opened(at, { ...at.replicated, fresh: true }, 'fresh')
    assert.equal(again.news.reason, 'asked', 'a logout is no removal')
  })

  test(`a_removed_folder_without_a_store_is_a_new_identity_that_says_why_with_the_session_${isOpen ? 'open' : 'closed'}`, async (t) => {
    const at = scene(t)
    const first = await at.openLocal('tenant')
    first.state.creds.me = { id: 'the-account' }
    await first.saveCreds()
    if (!isOpen) await first.close()
    rmSync(join(at.directory, 'tenant'), { recursive: true })
    const { session, news } = await opened(at, at.local, 'fresh')
    assert.equal(news.reason, 'removed')
    assert.equal(session.state.creds.me, undefined)
    await session.saveCreds()
    if (isOpen) assert.equal((await rejection(first.saveCreds())).code, 'DELETED', 'it does not write itself again')
    await session.close()
    const after = await opened(at, { ...at.local, onMissing: 'error' })
    assert.deepEqual(after.session.state.creds.noiseKey, session.state.creds.noiseKey)
  })
}

test('an_open_session_is_not_ended_with_its_folder_where_no_new_one_may_be_made_or_the_whole_disk_is_gone', async (t) => {
  for (const [what, options] of [
    ['tenant', { onMissing: 'error' }],
    ['', {}]
  ]) {
    const at = scene(t)
    const first = await at.openLocal('tenant')
    await first.saveCreds()
    rmSync(join(at.directory, what), { recursive: true })
    const { session } = await opened(at, { ...at.local, ...options }, 'error')
    assert.deepEqual(session.state.creds.noiseKey, first.state.creds.noiseKey)
    await session.saveCreds()
    await session.state.keys.set({ 'lid-mapping': { a: 'b' } })
    assert.ok(existsSync(join(at.directory, 'tenant')))
  }
})
