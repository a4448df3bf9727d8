'use strict'

// Cost of a tenant in a day: an estimate from the options, the rates and what was measured.
//
// Invariant: it is an estimate and says so; requests are counted before what a month includes for nothing.

const { FREE, MEASURED, PROVIDERS } = require('./prices.js')
const { DAY } = require('../units.js')

const MINUTES = 1440
/** Names in one page of a listing. */
const PAGE = 1000
/** Names that a session has among the claims after a restart. */
const NAMES = 5

/** Provider whose rates a store goes by; null where requests cost nothing, or nobody knows. */
function providerOf(store) {
  if (store.kind === 's3') {
    if (store.endpoint === null || store.endpoint === undefined || /\.amazonaws\.com/.test(store.endpoint)) return 's3'
    return /\.r2\.cloudflarestorage\.com/.test(store.endpoint) ? 'r2' : null
  }
  return Object.hasOwn(PROVIDERS, store.kind) ? store.kind : null
}

/** Listings that all tenants of a process share, in a day. */
const ticks = ({ ownershipCheckIntervalMs }, tenants) => (DAY / ownershipCheckIntervalMs) * Math.max(1, Math.ceil((tenants * NAMES) / PAGE))

/**
 * A tenant's day, idle and at one message a minute: `{ puts, gets, lists, sentBytes, receivedBytes, usd }`. `usd` is null where no
 * rates are known, 0 for a database, and is for requests alone.
 */
function costPerTenantDay(native, tenants) {
  const provider = providerOf(native.store)
  const rates = provider === null ? null : PROVIDERS[provider]
  const isFree = Object.hasOwn(FREE, native.store.kind)
  const nameBytes = isFree
    ? FREE[native.store.kind].nameBytes
    : MEASURED.nameBytes[rates?.names ?? (native.store.kind === 'supabase' ? 'supabase' : 's3')]
  const refreshes = DAY / native.refreshIntervalMs
  const share = ticks(native, tenants) / Math.max(1, tenants)
  const priced = (day) => ({
    ...day,
    usd: isFree ? 0 : rates === null ? null : ((day.puts + day.lists) * rates.classA + day.gets * rates.classB) / 1e6
  })
  const listed = (DAY / native.ownershipCheckIntervalMs) * NAMES * nameBytes
  const idle = { puts: 3 * refreshes, gets: refreshes, lists: share, sentBytes: 0, receivedBytes: listed }
  // No more segments than flushes, whatever is written; without a disk nothing waits for one.
  const isUnbounded = native.cloud || native.flushIntervalMs === 0
  const segments = Math.min(MINUTES * (MEASURED.puts / MEASURED.sessions), isUnbounded ? Infinity : DAY / native.flushIntervalMs)
  const lists = share + segments * (MEASURED.lists / MEASURED.puts)
  const atWork = {
    puts: idle.puts + segments,
    gets: idle.gets,
    lists,
    sentBytes: segments * ((MEASURED.sentKB * 1e3) / MEASURED.puts),
    receivedBytes: listed + segments * NAMES * nameBytes
  }
  return { provider: rates?.name ?? null, asOf: rates?.read ?? null, tenants, idle: priced(idle), atWork: priced(atWork) }
}

module.exports = { costPerTenantDay }
