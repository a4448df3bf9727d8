'use strict'

// Metrics for Prometheus, through the `prom-client` that the application has.
//
// Invariants: `prom-client` is loaded when metrics are asked for and never before; figures are read when they are scraped, by
// no timer; no line holds a tenant id unless somebody asked for it, and none ever holds a key or a contact.

const { dirname } = require('node:path')
const { refuse } = require('../checks.js')
const { HybridAuthError } = require('../errors.js')
const { readFigures } = require('./figures.js')
const { FAMILIES, TENANT_FAMILIES } = require('./families.js')

const PREFIX = 'baileys_hybrid_auth_'

/** `prom-client` as this package, the working directory or the program sees it. */
function loadClient() {
  const main = require.main?.filename ?? process.argv[1]
  const paths = [__dirname, process.cwd(), ...(main ? [dirname(main)] : [])]
  let file
  try {
    file = require.resolve('prom-client', { paths })
  } catch (error) {
    throw new HybridAuthError(
      'INVALID_OPTION',
      'metrics need the package `prom-client`, which is not installed: run `npm install prom-client`',
      error
    )
  }
  return require(file)
}

/** A histogram whose observations were counted elsewhere. */
function countedHistogram({ Histogram }, config, rows) {
  class Counted extends Histogram {
    async get() {
      const value = (suffix, labels, value) => ({ metricName: `${config.name}_${suffix}`, labels, value })
      const values = rows().flatMap(([labels, { bounds, counts, sum }]) => {
        let below = 0
        const buckets = counts.map((count, i) => value('bucket', { ...labels, le: bounds[i] ?? '+Inf' }, (below += count)))
        return [...buckets, value('sum', labels, sum), value('count', labels, below)]
      })
      const { name, help, type, aggregator } = this
      return { name, help, type, aggregator, values }
    }

    getForPromString() {
      return this.get()
    }
  }
  return new /** @type {any} */ (Counted)(config)
}

/** A gauge or counter that takes its values when it is scraped. */
function readMetric(client, type, config, rows) {
  const collect = function () {
    this.reset()
    for (const [labels, value] of rows()) type === 'counter' ? this.inc(labels, value) : this.set(labels, value)
  }
  const Metric = type === 'counter' ? client.Counter : client.Gauge
  return new Metric({ ...config, collect })
}

/** All metrics of one scrape are of one moment: it reads them in one turn. */
function momentary(read) {
  let figures = null
  return () => {
    if (figures === null) {
      figures = read()
      queueMicrotask(() => {
        figures = null
      })
    }
    return figures
  }
}

/** Registry -> whether tenants have a label there. */
const registered = new WeakMap()

function checkLabel(tenantLabel) {
  if (typeof tenantLabel !== 'boolean') refuse('`tenantLabel` must be true or false')
}

/** Registers all metrics; once, however often it is asked for. */
function collectInto(registry, { tenantLabel = false } = {}) {
  const client = loadClient()
  checkLabel(tenantLabel)
  if (typeof registry?.registerMetric !== 'function' || typeof registry.getSingleMetric !== 'function') {
    refuse('`collectInto` takes a registry of prom-client, such as `register`')
  }
  const families = tenantLabel ? [...FAMILIES, ...TENANT_FAMILIES] : FAMILIES
  if (registry.getSingleMetric(PREFIX + FAMILIES[0].name) !== undefined) {
    if (registered.get(registry) === tenantLabel) return registry
    refuse('this registry already has these metrics, with another `tenantLabel` or from another copy of this package')
  }
  const figures = momentary(readFigures)
  for (const { name, type, help, labels = [], aggregator = 'sum', rows } of families) {
    const config = { name: PREFIX + name, help, labelNames: labels, aggregator, registers: [registry] }
    const now = () => rows(figures())
    if (type === 'histogram') countedHistogram(client, config, now)
    else readMetric(client, type, config, now)
  }
  registered.set(registry, tenantLabel)
  return registry
}

/** The metrics as Prometheus reads them. */
async function metricsText(options) {
  const { Registry } = loadClient()
  return collectInto(new Registry(), options).metrics()
}

module.exports = { collectInto, metricsText }
