// The dashboard, the alert rules and the document speak of metrics that there are, in expressions that Prometheus takes.
//
// Invariant guarded: each alert is silent over a fleet that is well and speaks when what it tells of has happened, both over what a
// running fleet really told.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { all, firstColumn, read, section } from '../docs/repository.mjs'
import { OTHER_KEY, rejection, told, until } from '../../testkit/processes/sessions.mjs'
import { fragileBucket } from '../../testkit/stores/outages.mjs'
import { sceneWith, storeScene } from '../../testkit/stores/scene.mjs'
import { evaluate, parseExpression, select, selectorsIn } from './promql.mjs'
import { PREFIX, scrape } from './scrapes.mjs'

const { FAMILIES, TENANT_FAMILIES } = createRequire(import.meta.url)('../../lib/metrics/families.js')
const document = read('docs/observability.md')
const rules = parse(read('docs/alerts.yml')).groups.flatMap(({ rules }) => rules)
const dashboard = JSON.parse(read('docs/grafana-dashboard.json'))
const panels = dashboard.panels.filter(({ type }) => type !== 'row')

/** Values that Grafana puts in the place of its variables. */
const substituted = (expr) => expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*')

const expressions = [
  ...rules.map(({ alert, expr }) => [alert, expr]),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [`panel ${title}`, substituted(expr)]))
]

describe('what is written about metrics', () => {
  let samples

  before(async () => {
    samples = await scrape({ tenantLabel: true })
  })

  test('every expression is one of PromQL, and each of its selectors selects something that a fleet tells', () => {
    assert.ok(rules.length >= 8 && panels.length >= 20)
    for (const [where, expr] of expressions) {
      parseExpression(expr)
      const selectors = selectorsIn(expr)
      assert.ok(selectors.length > 0, where)
      for (const selector of selectors) assert.ok(select(selector, samples).length > 0, `${where}: ${selector.name} in ${expr}`)
    }
  })

  test('an expression with a mistake in it is noticed', () => {
    for (const wrong of ['', 'sum(a', 'a{b="c"', 'rate(a[5])x', 'a > > 1']) assert.throws(() => parseExpression(wrong), wrong)
    assert.deepEqual(select(selectorsIn(`${PREFIX}lag_secs`)[0], samples), [])
    assert.deepEqual(select(selectorsIn(`${PREFIX}uploads_total{kind="nothing"}`)[0], samples), [])
  })

  test('every metric is in the document with its type, and no other is', () => {
    const chapter = section(document, '## Metrics')
    const [common, ofTenants] = chapter.split('### By tenant')
    assert.deepEqual(firstColumn(common), FAMILIES.map(({ name }) => name).sort())
    assert.deepEqual(firstColumn(ofTenants), TENANT_FAMILIES.map(({ name }) => name).sort())
    for (const { name, type } of [...FAMILIES, ...TENANT_FAMILIES])
      assert.match(chapter, new RegExp(`^\\| \`${name}\` \\| ${type} \\|`, 'm'))
  })

  test('every metric that stands for the fleet is on the dashboard', () => {
    const shown = new Set(
      panels.flatMap(({ targets }) =>
        targets.flatMap(({ expr }) => selectorsIn(substituted(expr)).map(({ name }) => name.replace(/_(bucket|count|sum)$/, '')))
      )
    )
    assert.deepEqual(
      FAMILIES.map(({ name }) => PREFIX + name).filter((name) => !shown.has(name)),
      []
    )
  })

  test('the dashboard is one that Grafana takes: panels with ids of their own, on a grid without overlaps, of one data source', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    const taken = new Set()
    for (const {
      title,
      gridPos: { x, y, w, h }
    } of dashboard.panels) {
      assert.ok(x + w <= 24, title)
      for (let at = 0; at < w * h; at++) {
        const cell = `${x + (at % w)}/${y + Math.floor(at / w)}`
        assert.ok(!taken.has(cell), `${title} lies on another panel`)
        taken.add(cell)
      }
    }
    for (const { title, description } of panels) assert.ok(description?.length > 20, `${title} says what it shows`)
    for (const { datasource } of panels) assert.deepEqual(datasource, { type: 'prometheus', uid: '${datasource}' })
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'instance']
    )
  })

  test('every alert has a severity and says what is the matter, and the document names each', () => {
    for (const { alert, expr, labels, annotations } of rules) {
      assert.ok(['warning', 'critical'].includes(labels.severity), alert)
      // Where nothing is told, there is no instance to name.
      assert.equal(annotations.summary.includes('$labels.instance'), !expr.startsWith('absent('), alert)
      assert.ok(annotations.description.length > 20, alert)
    }
    assert.deepEqual(firstColumn(section(document, '## Dashboard and alerts')), rules.map(({ alert }) => alert).sort())
  })

  test('every event is in the document at the level at which it is logged', () => {
    const levels = all(read('lib/session/news.js').match(/const LEVELS = \{([^}]*)\}/)[1], /(\w+: '\w+')/g)
    const rows = [...section(document, '## Logger').matchAll(/^\| `(\w+)` \| (\w+) \|/gm)].filter(([, event]) => event !== 'event')
    assert.deepEqual(rows.map(([, event, level]) => `${event}: '${level}'`).sort(), levels)
  })
})

const expressionOf = (alert) => rules.find((rule) => rule.alert === alert).expr

/** The alerts that would begin to wait or fire over these scrapes. */
const speaking = (scrapes) =>
  rules
    .filter(({ expr }) => evaluate(expr, scrapes).length > 0)
    .map(({ alert }) => alert)
    .sort()

/** The same, but for the one that tells how fast the disk of this machine is. */
const heard = (scrapes) => speaking(scrapes).filter((alert) => alert !== 'HybridAuthSlowDisk')

/** On a busy machine an answer may take long: no reason to speak of an outage. */
const PATIENT = { ownershipCheckIntervalMs: 2000 }

/** The same scrape with some values in place of those of a fleet that is well. */
const changed = (samples, changes) =>
  samples.map((sample) => {
    const change = changes.find(
      ([name, labels]) => sample.name === PREFIX + name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
    )
    return change === undefined ? sample : { ...sample, value: sample.value + change[2] }
  })

describe('alerts', () => {
  const recorded = async (work) => {
    const first = { at: 0, samples: await scrape() }
    await work()
    return [first, { at: 600, samples: await scrape() }]
  }

  test('none speaks over a fleet that is well, also while its sessions come and go', async (t) => {
    const at = await storeScene(t, PATIENT)
    const scrapes = await recorded(async () => {
      // New accounts are paired in so many words.
      for (const [tenant, options] of [
        ['a', { fresh: true }],
        ['b', { fresh: true }],
        ['a', {}]
      ]) {
        const session = await at.openReplicated(tenant, options)
        await session.saveCreds()
        await session.close()
      }
      const open = await at.openReplicated('c', { fresh: true })
      await open.saveCreds()
      await open.flush()
    })
    assert.deepEqual(heard(scrapes), [])
  })

  test('an outage speaks as a backup that fails', async (t) => {
    const { bucket, breakAll } = await fragileBucket(t)
    const at = sceneWith(t, bucket, PATIENT)
    const session = await at.openReplicated('tenant')
    await session.saveCreds()
    await session.flush()
    const first = { at: 0, samples: await scrape() }
    const degraded = told(session, 'degraded')
    const heal = await breakAll()
    await session.state.keys.set({ session: { a: { v: 1 } } })
    await degraded
    const during = { at: 600, samples: await scrape() }
    await heal()
    assert.ok(heard([first, during]).includes('HybridAuthBackupFailing'))
  })

  test('a session that is in no store speaks as never backed up', async (t) => {
    const at = await storeScene(t, PATIENT)
    assert.deepEqual(heard(await recorded(() => at.openLocal('tenant', { fresh: true }))), ['HybridAuthNeverBackedUp'])
  })

  test('a takeover speaks as a fence, and a key that does not fit as a restore that failed', async (t) => {
    const at = await storeScene(t, PATIENT)
    const older = await at.openReplicated('tenant')
    await older.saveCreds()
    const scrapes = await recorded(async () => {
      const fenced = told(older, 'fenced')
      await at.open('tenant', at.elsewhere())
      await fenced
      await until(() => older.status().handedOver, 'the handover')
    })
    assert.deepEqual(heard(scrapes), ['HybridAuthFencedUnexpectedly'])
    const failed = await recorded(() => rejection(at.open('tenant', { ...at.elsewhere(), encryptionKeys: [OTHER_KEY] })))
    assert.deepEqual(evaluate(expressionOf('HybridAuthRestoreFailed'), failed), [{ labels: { code: 'KEY_UNAVAILABLE' }, value: 1 }])
    assert.deepEqual(
      heard(await recorded(() => rejection(at.openReplicated('nobody', { onMissing: 'error' })))),
      [],
      'nobody is no failure'
    )
  })

  test('a new identity that nobody asked for speaks with how it came about', async (t) => {
    const at = await storeScene(t, PATIENT)
    const scrapes = await recorded(() => at.openReplicated('tenant'))
    assert.deepEqual(heard(scrapes), ['HybridAuthFreshSession'])
    assert.deepEqual(evaluate(expressionOf('HybridAuthFreshSession'), scrapes), [{ labels: { reason: 'missing' }, value: 1 }])
  })

  // What takes ten minutes or a broken disk to happen, put into a scrape that is real but for that.
  const happenings = {
    HybridAuthBackupOverdue: [['sessions_by_backup', { state: 'overdue' }, 1]],
    HybridAuthLag: [['lag_seconds', {}, 61]],
    HybridAuthOpenHangs: [['opening_seconds', {}, 61]],
    HybridAuthOpenSlow: ['30', '60', '+Inf'].map((le, n) => [
      'restore_duration_seconds_bucket',
      { source: 'remote', le },
      n === 0 ? 0 : 100
    ]),
    HybridAuthBaseRefused: [['base_refused_sessions', {}, 1]],
    HybridAuthStoreRefuses: [['request_failures_total', { kind: 'denied' }, 1]],
    HybridAuthLeaseLost: [['sessions', { life: 'lease-lost' }, 1]],
    HybridAuthSlowDisk: [
      ['fsync_duration_seconds_bucket', { le: '1' }, 100],
      ['fsync_duration_seconds_bucket', { le: '2.5' }, 100],
      ['fsync_duration_seconds_bucket', { le: '+Inf' }, 100],
      ['fsync_duration_seconds_count', {}, 100]
    ]
  }
  for (const [alert, changes] of Object.entries(happenings)) {
    test(`${alert} speaks of what it is for, and no other does`, async () => {
      const samples = await scrape()
      assert.deepEqual(
        speaking([
          { at: 0, samples },
          { at: 600, samples: changed(samples, changes) }
        ]),
        [alert]
      )
    })
  }

  for (const change of [
    ['append_failures_total', {}, 1],
    ['fsync_failures_total', {}, 1],
    ['sessions', { life: 'poisoned' }, 1]
  ]) {
    test(`the local disk speaks by ${change[0]}`, async () => {
      const samples = await scrape()
      assert.deepEqual(
        speaking([
          { at: 0, samples },
          { at: 600, samples: changed(samples, [change]) }
        ]),
        ['HybridAuthLocalDisk']
      )
    })
  }

  test('HybridAuthNotScraped speaks where nothing is told, and no other does', async () => {
    const others = [{ name: 'own_total', labels: {}, value: 1 }]
    assert.deepEqual(
      speaking([
        { at: 0, samples: await scrape() },
        { at: 600, samples: others }
      ]),
      ['HybridAuthNotScraped']
    )
  })

  test('every alert was heard in one of these tests', () => {
    const real = [
      'HybridAuthBackupFailing',
      'HybridAuthFreshSession',
      'HybridAuthNeverBackedUp',
      'HybridAuthFencedUnexpectedly',
      'HybridAuthRestoreFailed',
      'HybridAuthLocalDisk',
      'HybridAuthNotScraped'
    ]
    assert.deepEqual([...real, ...Object.keys(happenings)].sort(), rules.map(({ alert }) => alert).sort())
  })
})
