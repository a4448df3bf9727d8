// A NestJS application tells its metrics: through its service, and in its own registry from the start.
//
// Invariant guarded: an option that makes no sense stops the start and is named; the last upload of a session reaches onBackup
// before the application has shut down.

import 'reflect-metadata'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import promClient from 'prom-client'
import { project } from '../support/nest.mjs'
import { rejection } from '../../testkit/processes/sessions.mjs'
import { storeScene } from '../../testkit/stores/scene.mjs'

const { load } = project(11)
const { NestFactory } = load('@nestjs/core')
const { HybridAuthModule, HybridAuthService } = load('baileys-hybrid-auth/nestjs')

async function start(t, options) {
  const app = await NestFactory.createApplicationContext(HybridAuthModule.forRoot({ logger: false, ...options }), {
    logger: false,
    abortOnError: false
  })
  return { app, service: app.get(HybridAuthService) }
}

test('the service tells the metrics, and its registry has them from the start', async (t) => {
  const at = await storeScene(t)
  const registry = new promClient.Registry()
  const { app, service } = await start(t, { ...at.replicated, metrics: { registry } })
  await service.open('tenant')
  const live = /^baileys_hybrid_auth_sessions\{life="live"\} 1$/m
  assert.match(await registry.metrics(), live)
  assert.match(await service.metrics(), live)
  assert.ok(!(await registry.metrics()).includes('tenant='))
  assert.match(await service.metrics({ tenantLabel: true }), /^baileys_hybrid_auth_session_lag_seconds\{tenant="tenant"\} /m)
  assert.equal(service.summary().sessions, 1)
  assert.equal(service.collectInto(registry), registry)
  await app.close()
  assert.match(await registry.metrics(), /^baileys_hybrid_auth_sessions\{life="live"\} 0$/m)
})

test('an option for metrics that makes no sense stops the start by its name', async (t) => {
  const at = await storeScene(t)
  const registry = new promClient.Registry()
  for (const metrics of [null, true, {}, { registry: {} }, { registry, tenantLabel: 1 }, { registry, label: true }]) {
    const { code, message } = await rejection(start(t, { ...at.replicated, metrics }))
    assert.equal(code, 'INVALID_OPTION')
    assert.match(message, /`metrics`/)
  }
})

test('what the shutdown itself still uploads is told to onBackup', async (t) => {
  const at = await storeScene(t, { flushIntervalMs: 3_600_000 })
  const backups = []
  const { app, service } = await start(t, { ...at.replicated, onBackup: (info) => backups.push(info) })
  const session = await service.open('tenant')
  await session.state.keys.set({ session: { a: { v: 1 } } })
  const { lsn } = session.status()
  await session.close()
  await app.close()
  assert.deepEqual(
    backups.map(({ tenantId, lsn }) => ({ tenantId, lsn })),
    [{ tenantId: 'tenant', lsn }]
  )
})
