'use strict'

// The metrics: what each is called, what it means, and which figure it shows. docs/observability.md says what to do about them.
//
// Invariants: a name tells its unit; every value of a label is there from the start, with 0, so that a rate has something to
// begin with; only the last list knows of tenants.

const { codes } = require('../errors.js')

const one = (value) => [[{}, value]]
const by = (label, values) => Object.entries(values).map(([name, value]) => [{ [label]: name }, value])
const total = (sessions, read) => sessions.reduce((sum, { status }) => sum + read(status), 0)
const seconds = ({ bounds, counts, sum }) => ({ bounds: bounds.map((micros) => micros / 1e6), counts, sum: sum / 1e6 })

/** Each `rows` takes the figures of figures.js and gives `[labels, value]` pairs. */
const FAMILIES = [
  {
    name: 'build_info',
    type: 'gauge',
    aggregator: 'first',
    help: 'Always 1; its labels name the version of this package and of Node',
    labels: ['version', 'node'],
    // An import of the package reads no other file than its own code.
    rows: () => [[{ version: require('../../package.json').version, node: process.versions.node }, 1]]
  },
  {
    name: 'sessions',
    type: 'gauge',
    help: 'Open sessions in this process by life, as in status()',
    labels: ['life'],
    rows: ({ summary }) => by('life', summary.byLife)
  },
  {
    name: 'opening_seconds',
    type: 'gauge',
    aggregator: 'max',
    help: 'Age of the oldest open in progress; 0 if there is none',
    rows: ({ opening }) => one(Math.max(0, ...opening.map(({ forMs }) => forMs)) / 1000)
  },
  {
    name: 'sessions_by_backup',
    type: 'gauge',
    help: 'Sessions owned here: never stored, waiting for the store for more than 10 minutes, or neither',
    labels: ['state'],
    rows: ({ summary }) => by('state', summary.byBackup)
  },
  {
    name: 'degraded_sessions',
    type: 'gauge',
    help: 'Sessions whose store currently fails',
    rows: ({ summary }) => one(summary.degraded)
  },
  {
    name: 'base_refused_sessions',
    type: 'gauge',
    help: 'Sessions whose full state the store permanently rejects: changes pile up there, and opens take longer',
    rows: ({ sessions }) => one(sessions.filter(({ status }) => status.baseRefused !== null).length)
  },
  {
    name: 'lag_seconds',
    type: 'gauge',
    aggregator: 'max',
    help: 'Age of the oldest write of any session that a new machine could not restore',
    rows: ({ summary }) => one(summary.maxLagMs / 1000)
  },
  {
    name: 'dirty_keys',
    type: 'gauge',
    help: 'Keys of all sessions whose current value a new machine could not restore',
    rows: ({ summary }) => one(summary.dirtyKeys)
  },
  {
    name: 'dirty_bytes',
    type: 'gauge',
    help: 'Bytes of those keys and their values',
    rows: ({ summary }) => one(summary.dirtyBytes)
  },
  {
    name: 'keys',
    type: 'gauge',
    help: 'Keys of all sessions in memory',
    rows: ({ sessions }) => one(total(sessions, ({ keys }) => keys))
  },
  {
    name: 'state_bytes',
    type: 'gauge',
    help: 'Bytes of all keys and values in memory',
    rows: ({ sessions }) => one(total(sessions, ({ bytes }) => bytes))
  },
  {
    name: 'fullest_state_ratio',
    type: 'gauge',
    aggregator: 'max',
    help: 'Size of the largest state, divided by the maximum size; at 1, writes are rejected',
    rows: ({ sessions }) => one(Math.max(0, ...sessions.map(({ status: { bytes, maxBytes } }) => (maxBytes > 0 ? bytes / maxBytes : 0))))
  },
  {
    name: 'log_bytes',
    type: 'gauge',
    help: 'Bytes of all local logs',
    rows: ({ sessions }) => one(total(sessions, ({ logBytes }) => logBytes))
  },
  {
    name: 'uploads_total',
    type: 'counter',
    help: 'Uploaded objects',
    labels: ['kind'],
    rows: ({ meters }) => by('kind', meters.uploads)
  },
  {
    name: 'upload_bytes_total',
    type: 'counter',
    help: 'Bytes of uploaded objects',
    labels: ['kind'],
    rows: ({ meters }) => by('kind', meters.uploaded)
  },
  {
    name: 'unchanged_values_total',
    type: 'counter',
    help: 'Written values equal to the stored ones: neither logged nor uploaded',
    rows: ({ meters }) => one(meters.unchanged)
  },
  {
    name: 'requests_total',
    type: 'counter',
    help: 'Requests to stores, including retries: one for each page of a listing and each removed object',
    labels: ['operation'],
    rows: ({ traffic: { puts, gets, lists, deletes } }) => by('operation', { put: puts, get: gets, list: lists, delete: deletes })
  },
  {
    name: 'request_failures_total',
    type: 'counter',
    help: 'Failed requests to stores, including retries, by kind of failure',
    labels: ['kind'],
    rows: ({ meters }) => by('kind', meters.failures)
  },
  {
    name: 'sent_bytes_total',
    type: 'counter',
    help: 'Bytes of objects sent to stores, including retries',
    rows: ({ traffic }) => one(traffic.sent)
  },
  {
    name: 'received_bytes_total',
    type: 'counter',
    help: 'Bytes of objects received from stores',
    rows: ({ traffic }) => one(traffic.received)
  },
  {
    name: 'restore_duration_seconds',
    type: 'histogram',
    help: 'Duration of opens, including the wait for the previous owner, by source of the session',
    labels: ['source'],
    rows: ({ meters }) => by('source', meters.opens).map(([labels, opens]) => [labels, seconds(opens)])
  },
  {
    name: 'fresh_sessions_total',
    type: 'counter',
    help: 'Sessions that started with a new WhatsApp identity, by reason',
    labels: ['reason'],
    rows: ({ fresh }) => by('reason', fresh)
  },
  {
    name: 'open_failures_total',
    type: 'counter',
    help: 'Failed opens by error code',
    labels: ['code'],
    rows: ({ meters }) => by('code', { ...Object.fromEntries(codes.map((code) => [code, 0])), ...meters.openFailures })
  },
  {
    name: 'fences_total',
    type: 'counter',
    help: 'Sessions taken over by a newer instance',
    rows: ({ meters }) => one(meters.fences)
  },
  {
    name: 'fsync_duration_seconds',
    type: 'histogram',
    help: 'Duration of syncs of a local log to the disk',
    rows: ({ meters }) => one(seconds(meters.syncs))
  },
  {
    name: 'fsync_failures_total',
    type: 'counter',
    help: 'Failed syncs of a local log',
    rows: ({ meters }) => one(meters.syncFailures)
  },
  {
    name: 'repairs_total',
    type: 'counter',
    help: 'Damage of the local disk or of the store that sessions recovered from',
    rows: ({ meters }) => one(meters.repairs)
  },
  {
    name: 'refused_repeats_total',
    type: 'counter',
    help: 'Existing objects that a store did not allow to be stored again',
    rows: ({ meters }) => one(meters.refusedRepeats)
  },
  {
    name: 'store_server_changes_total',
    type: 'counter',
    help: 'Times that another server took over the database that is a store, per session',
    rows: ({ meters }) => one(meters.serverChanges)
  },
  {
    name: 'store_connections',
    type: 'gauge',
    help: 'Open connections to databases that are stores',
    rows: ({ meters }) => one(meters.connections)
  },
  {
    name: 'ownership_notifications_total',
    type: 'counter',
    help: 'Notifications of changed ownership that a database sent to sessions',
    rows: ({ meters }) => one(meters.notifications)
  },
  {
    name: 'store_repairs_total',
    type: 'counter',
    help: 'States stored again because the store had lost objects of a running session',
    rows: ({ meters }) => one(meters.storeRepairs)
  },
  {
    name: 'profile_backup_duration_seconds',
    type: 'histogram',
    help: 'Duration of acknowledged backups of browser profiles, unchanged ones included',
    rows: ({ meters }) => one(seconds(meters.profileBackups))
  },
  {
    name: 'profile_stop_duration_seconds',
    type: 'histogram',
    help: 'Time for which browsers were stopped during backups of their profiles',
    rows: ({ meters }) => one(seconds(meters.profileStops))
  },
  {
    name: 'profile_backup_failures_total',
    type: 'counter',
    help: 'Failed backups of browser profiles by error code',
    labels: ['code'],
    rows: ({ meters }) => by('code', { ...Object.fromEntries(codes.map((code) => [code, 0])), ...meters.profileFailures })
  },
  {
    name: 'profiles',
    type: 'gauge',
    help: 'Open browser profiles by state of their browser',
    labels: ['browser'],
    rows: ({ profiles: { open, running } }) => by('browser', { running, closed: open - running })
  },
  {
    name: 'profiles_never_backed_up',
    type: 'gauge',
    help: 'Open browser profiles without an acknowledged backup',
    rows: ({ profiles }) => one(profiles.neverBackedUp)
  },
  {
    name: 'profiles_failing',
    type: 'gauge',
    help: 'Open browser profiles whose last backup failed',
    rows: ({ profiles }) => one(profiles.failing)
  },
  {
    name: 'profile_failing_seconds',
    type: 'gauge',
    aggregator: 'max',
    help: 'Time for which the backups of a browser profile have been failing, the longest one; 0 if none fails',
    rows: ({ profiles }) => one(profiles.failingForMs / 1000)
  },
  {
    name: 'profile_oldest_backup_seconds',
    type: 'gauge',
    aggregator: 'max',
    help: 'Age of the newest acknowledged backup of a browser profile, the oldest one; unchanged profiles are not stored again',
    rows: ({ profiles }) => one((profiles.oldestBackupMs ?? 0) / 1000)
  },
  {
    name: 'append_failures_total',
    type: 'counter',
    help: 'Writes that the local disk rejected',
    rows: ({ meters }) => one(meters.appendFailures)
  }
]

/** Tenant -> one figure; a tenant that is open in two directories has both, as `merge` says. */
function byTenant(read, merge) {
  return ({ sessions }) => {
    const values = new Map()
    for (const { tenantId, status } of sessions) {
      const value = read(status)
      if (value !== null) values.set(tenantId, values.has(tenantId) ? merge(values.get(tenantId), value) : value)
    }
    return [...values].map(([tenant, value]) => [{ tenant }, value])
  }
}

const add = (a, b) => a + b

const TENANT_FAMILIES = [
  {
    name: 'session_lag_seconds',
    aggregator: 'max',
    help: 'Age of the oldest write that a new machine could not restore',
    rows: byTenant(({ lagMs }) => (lagMs === null ? null : lagMs / 1000), Math.max)
  },
  {
    name: 'session_dirty_keys',
    help: 'Keys whose current value a new machine could not restore',
    rows: byTenant(({ dirtyKeys }) => dirtyKeys, add)
  },
  {
    name: 'session_dirty_bytes',
    help: 'Bytes of those keys and their values',
    rows: byTenant(({ dirtyBytes }) => dirtyBytes, add)
  },
  {
    name: 'session_last_backup_timestamp_seconds',
    aggregator: 'max',
    help: 'Last time the store was known to have everything; absent if it never was',
    rows: byTenant(({ lastBackupAt }) => (lastBackupAt === null ? null : lastBackupAt.getTime() / 1000), Math.max)
  }
].map((family) => ({ type: 'gauge', labels: ['tenant'], ...family }))

module.exports = { FAMILIES, TENANT_FAMILIES }
