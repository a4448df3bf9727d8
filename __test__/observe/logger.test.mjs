// Lines that a logger gets: nothing without one, and with pino lines that say what happened to whom in fields of their own.
//
// Invariant guarded: whoever reads logs by machine needs no text: each line has its event, its class and its tenant as fields.

import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import pino from 'pino'
import { startProcess, temporaryFolder, told } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { sceneWith, storeScene } from '../../testkit/stores/scene.mjs'

/** A real pino, and the lines that it wrote. */
function recordingPino(level = 'debug') {
  const lines = []
  const stream = new Writable({
    write(chunk, _, done) {
      lines.push(
        ...chunk
          .toString()
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line))
      )
      done()
    }
  })
  return { logger: pino({ level, base: undefined, timestamp: false }, stream), lines }
}

test('each event is a line of pino with its event, class and tenant as fields, at a level that says how bad it is', async (t) => {
  const { bucket, breakAll } = await fragileBucket(t)
  const at = sceneWith(t, bucket, { ownershipCheckIntervalMs: 2000 })
  const { logger, lines } = recordingPino()
  const session = await at.openReplicated('tenant', { logger })
  const backup = told(session, 'backup')
  await session.saveCreds()
  await backup
  const heal = await breakAll()
  const degraded = told(session, 'degraded')
  await session.state.keys.set({ session: { a: { v: 1 } } })
  await degraded
  const recovered = told(session, 'recovered')
  await heal()
  await recovered
  const elsewhere = recordingPino('info')
  const fenced = told(session, 'fenced')
  const newer = await at.open('tenant', { ...at.elsewhere(), logger: elsewhere.logger })
  await fenced
  await session.close()
  await newer.saveCreds()
  await newer.close()

  const about = { class: 'hybrid-auth', tenantId: 'tenant' }
  const levelOf = { opening: 30, waiting: 30, opened: 30, backup: 20, degraded: 40, recovered: 30, fenced: 40, fresh: 40, restored: 30 }
  const events = new Set()
  for (const { level, msg, ...line } of [...lines, ...elsewhere.lines]) {
    assert.deepEqual({ class: line.class, tenantId: line.tenantId }, about)
    assert.ok(msg.startsWith(`session ${line.event}`), msg)
    assert.equal(level, levelOf[line.event], line.event)
    events.add(line.event)
  }
  assert.deepEqual([...events].sort(), Object.keys(levelOf).sort())
  const first = lines.find(({ event }) => event === 'backup')
  assert.equal(lines.find(({ event }) => event === 'fresh').reason, 'missing')
  assert.deepEqual(first, { level: 20, ...about, event: 'backup', lsn: 1, bytes: first.bytes, msg: 'session backup' })
  const trouble = lines.find(({ event }) => event === 'degraded')
  assert.ok(trouble.code.startsWith('REMOTE_') && trouble.message.length > 0)
  assert.ok(
    elsewhere.lines.every(({ event }) => event !== 'backup'),
    'the level of the logger counts'
  )
})

test('a logger without child is told the same without the fields of a child', async (t) => {
  const at = await storeScene(t)
  const said = []
  const logger = Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, (...args) => said.push([level, ...args])]))
  const session = await at.openReplicated('tenant', { logger })
  const backup = told(session, 'backup')
  await session.saveCreds()
  const { lsn, bytes } = await backup
  const [opening, fresh, opened, ...rest] = said
  assert.deepEqual(opening, ['info', { event: 'opening' }, 'session opening'])
  assert.deepEqual([fresh[0], fresh[1].reason], ['warn', 'missing'])
  const { tookMs } = opened[1]
  assert.deepEqual(opened.slice(0, 2), ['info', { event: 'opened', source: 'fresh', clean: true, shared: false, tookMs }])
  assert.deepEqual(rest, [['debug', { event: 'backup', lsn, bytes }, 'session backup']])
})

test('without a logger nothing is printed, whatever happens', async (t) => {
  const work = async ({ hybrid, args }) => {
    const options = { store: 'memory://quiet', encryptionKeys: '7f'.repeat(32), flushIntervalMs: 10, ownershipCheckIntervalMs: 50 }
    const one = await hybrid.useHybridAuthState('tenant', { ...options, directory: args.one })
    await one.saveCreds()
    await one.flush()
    const other = await hybrid.useHybridAuthState('tenant', { ...options, directory: args.other })
    await one.close()
    await other.close()
  }
  const { code, stdout, stderr } = await startProcess(t, work, { one: temporaryFolder(t), other: temporaryFolder(t) }).ended
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' })
})
