// Sessions and stores in figures, for dashboards and alerts.

import type { SessionStatus } from './session.js'

/** Totals over many statuses. Sessions that ended, or that a newer owner has, count only in `sessions` and `byLife`. */
export interface FleetSummary {
  sessions: number
  /** `opening` does not count in `sessions`. */
  byLife: Record<SessionStatus['life'] | 'opening', number>
  /** `never`: nothing is in a store. `overdue`: a write has been waiting for the store for more than 10 minutes. */
  byBackup: { never: number; overdue: number; ok: number }
  /** Age of the oldest write that a new machine could not restore; 0 if there is none. */
  maxLagMs: number
  dirtyKeys: number
  dirtyBytes: number
  /** Sessions whose store is failing. */
  degraded: number
  /** `degraded` if it is failing for any session. */
  store: 'none' | 'ok' | 'degraded'
}

/** Network traffic with the store since the start of the process. */
export interface StoreTraffic {
  puts: number
  gets: number
  /** One per page of a listing. */
  lists: number
  /** Objects removed. */
  deletes: number
  /** Bytes of objects. */
  sent: number
  received: number
  /** Failed requests, including retries. */
  failures: number
}

/** Options of the metrics. */
export interface MetricsOptions {
  /** Add metrics per tenant, with the tenant id as the label `tenant`. @default false */
  tenantLabel?: boolean
}

/** The required part of a `prom-client` registry. */
export interface MetricsRegistry {
  registerMetric(metric: any): void
  getSingleMetric(name: string): any
}
