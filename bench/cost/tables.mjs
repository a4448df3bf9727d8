// The result of a run as tables: for a terminal, and as they stand in `docs/cost.md`.
//
// Invariant: every figure is of the run, or comes from it and the rates by the formulas of `prices.mjs`; none is written here.

import { KIND_NAMES } from './meter.mjs'
import { MINUTES, PROVIDERS, monthOf, otherWays, priceOf } from './prices.mjs'

const figure = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 })
/** Whole from ten on, and two digits below. */
const number = (value) => (value === 0 ? '0' : value < 9.95 ? short.format(value) : figure.format(value))
const usd = (value) => (value === 0 ? '0' : value < 0.005 ? 'under 0.01' : value < 100 ? value.toFixed(2) : figure.format(value))
const [KB, MB, GB] = [1e3, 1e6, 1e9]

const row = (cells) => `| ${cells.join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map((_, at) => (at === 0 ? '---' : '---:'))), ...rows.map(row)].join('\n')

/** The phases that go on for minutes, as they are called in the document. */
const steady = ({ tenants, phases }) => {
  const some = `${Math.min(20, tenants)} at 30 messages a minute, the rest idle`
  const all = {
    'idle new': 'idle, never restarted',
    idle: 'idle, after a restart',
    all: 'each at 1 message a minute',
    some,
    'idle rarer': 'idle, after a restart, checked every 30 s',
    'some rarer': `${some}; flushed every 5 s, checked every 30 s`
  }
  return Object.entries(all).map(([phase, name]) => ({ name, phase, ...phases[phase] }))
}

const ONCE = {
  'open new': 'open, for the first time',
  close: 'close',
  'open again': 'open again, on the same disk',
  'open blank': 'open on a new machine'
}

function perMinute(result) {
  const rows = steady(result).map(({ name, minutes, counts }) => [
    name,
    ...['put', 'list', 'get'].map((kind) => number(counts[kind].requests / minutes)),
    number(counts.put.up / minutes / KB),
    number((counts.get.down + counts.list.down) / minutes / KB)
  ])
  return table([`${result.tenants} sessions, per minute`, 'PUT', 'LIST', 'GET', 'KB sent', 'KB received'], rows)
}

function once(result) {
  const rows = Object.entries(ONCE).map(([phase, name]) => {
    const { counts } = result.phases[phase]
    const requests = {
      classA: counts.put.requests + counts.list.requests,
      classB: counts.get.requests,
      getBytes: 0,
      listedNames: 0,
      storedBytes: 0
    }
    const price = priceOf(requests, { ...PROVIDERS.s3, free: {} }, result.nameBytes)
    const kinds = KIND_NAMES.map((kind) => figure.format(counts[kind].requests))
    return [name, ...kinds, number(counts.put.up / MB), number((counts.get.down + counts.list.down) / MB), usd(price.requests)]
  })
  return table(
    [`${result.tenants} sessions, once`, 'PUT', 'GET', 'LIST', 'DELETE', 'MB sent', 'MB received', 'USD for requests at S3'],
    rows
  )
}

const providers = Object.values(PROVIDERS)
const names = providers.map(({ name }) => name)

/** Prices wherever the process runs, and the additions where it does not run at the provider. */
function priceCell(month, provider, { nameBytes }) {
  const { requests, storage, egress } = priceOf(month, provider, nameBytes)
  return egress === 0 ? usd(requests + storage) : `${usd(requests + storage)} + ${usd(egress)}`
}

const INCLUDED = { classA: 'PUT or LIST', classB: 'GET', storage: 'GB stored', egress: 'GB to the internet' }

function rates() {
  const rows = providers.map(({ name, read, classA, classB, storage, egress, unit, plan, free }) => {
    const whole = unit === undefined ? '' : ', in full millions'
    const included = Object.entries(free)
      .map(([what, much]) => `${figure.format(much)} ${INCLUDED[what]}`)
      .join(', ')
    const costs = [classA.toFixed(2) + whole, classB.toFixed(2) + whole, storage, egress]
    return [name, ...costs, plan === undefined ? included : `for ${plan} USD: ${included}`, read]
  })
  return table(
    ['USD for', 'a million PUT or LIST', 'a million GET', 'a GB stored, a month', 'a GB to the internet', 'included each month', 'as of'],
    rows
  )
}

function perMonth(result) {
  const rows = steady(result).map(({ name, minutes, counts }) => {
    const month = monthOf(counts, { ...result, minutes })
    return [name, ...providers.map((provider) => priceCell(month, provider, result))]
  })
  return table([`${result.tenants} sessions, USD per month`, ...names], rows)
}

const WAYS = {
  object: ['each changed value as a separate object', 'seconds'],
  archive10: ['an archive of each folder every 10 minutes', '10 minutes'],
  folder5: ['every file of each folder every 5 minutes, and when the credentials change', '5 minutes'],
  folder1: ['the same every minute', '1 minute']
}

/** This package and other ways, for the messages of one phase. */
function compared(result, phase) {
  const { minutes, counts, result: trace } = result.phases[phase]
  const others = otherWays(trace, { minutes, tenants: result.tenants, account: result.account })
  const own = ['this package', 'a second', monthOf(counts, { ...result, minutes })]
  const ways = [own, ...Object.entries(WAYS).map(([way, texts]) => [...texts, others[way]])]
  const rows = ways.map(([name, loss, month]) => {
    const perSecond = number((month.classA + month.classB) / (MINUTES * 60))
    return [name, loss, perSecond, number(month.uploadBytes / GB), ...providers.map((provider) => priceCell(month, provider, result))]
  })
  return table(['the same messages, USD per month', 'lost with a machine', 'requests/s', 'GB sent', ...names], rows)
}

function inTheProcess({ tenants, phases, status }) {
  const rows = [
    ['memory, new and empty sessions', `${number(phases['open new'].rss / MB)} MB`],
    [`memory, sessions in use (${number(status.bytes / MB)} MB of keys and values)`, `${number(phases.idle.rss / MB)} MB`],
    ['CPU, idle', `${number(phases.idle.cpuMs / phases.idle.minutes)} ms a minute`],
    [
      'CPU, each at 1 message a minute, including the creation of its values',
      `${number(phases.all.cpuMs / phases.all.minutes)} ms a minute`
    ]
  ]
  return table([`${tenants} sessions in one process`, ''], rows)
}

function made({ account, phases, seed, latency, storedBytes, nameBytes }) {
  const { messages, sets, values, jsonBytes } = phases.all.result
  const { recorded } = account
  const rows = [
    ['keys of an account', figure.format(recorded.keys), figure.format(account.files)],
    ['its state, MB of JSON', (recorded.stateBytes / MB).toFixed(2), (account.bytes / MB).toFixed(2)],
    ['sets per message', recorded.setsPerMessage.toFixed(2), (sets / messages).toFixed(2)],
    ['values per message', recorded.valuesPerMessage.toFixed(2), (values / messages).toFixed(2)],
    ['KB of JSON per message', (recorded.bytesPerMessage / KB).toFixed(1), (jsonBytes / messages / KB).toFixed(1)]
  ]
  const note =
    `Seed ${seed}, ${latency} ms of latency. ${number(storedBytes / MB)} MB in the bucket after a restart and the load. ` +
    `A name takes ${number(nameBytes.s3)} bytes in an answer to a LIST here, and ${number(nameBytes.supabase)} at Supabase.`
  return `${table(['messages', 'recorded', 'generated'], rows)}\n\n${note}`
}

export const markdown = (result) =>
  [perMinute(result), once(result), rates(), perMonth(result), compared(result, 'all'), inTheProcess(result), made(result)].join('\n\n')

/** Further findings of a run, for a closer look. */
export function summary(result) {
  const phases = Object.entries(result.phases).map(([name, { counts, cpuMs, rss, result: said }]) => {
    const line = ([kind, { requests, up, down }]) =>
      `  ${kind.padEnd(10)} ${String(requests).padStart(7)}  ${number(up / KB)} KB up, ${number(down / KB)} KB down`
    const kinds = Object.entries(counts).map(line)
    return [`${name}: ${number(cpuMs)} ms CPU, ${number(rss / MB)} MB, ${JSON.stringify(said ?? {})}`, ...kinds].join('\n')
  })
  return [...phases, markdown(result)].join('\n\n')
}
