// Sessions and stores in figures, for dashboards and alerts.

import type { SessionStatus } from './session.js'

/** Many statuses as one. Sessions that a newer owner has, and those that ended, count for nothing but `sessions` and `byLife`. */
export interface FleetSummary {
  sessions: number
  /** `opening` is no part of `sessions`. */
  byLife: Record<SessionStatus['life'] | 'opening', number>
  /** `never`: nothing of it is in a store. `overdue`: something has been waiting for it for more than 10 minutes. */
  byBackup: { never: number; overdue: number; ok: number }
  /** Age of the oldest write that a blank machine would not restore; 0 where there is none. */
  maxLagMs: number
  dirtyKeys: number
  dirtyBytes: number
  /** Sessions whose store fails. */
  degraded: number
  /** `degraded` when it fails for any session. */
  store: 'none' | 'ok' | 'degraded'
}

/** What went over the wire, counted since the process began. */
export interface StoreTraffic {
  puts: number
  gets: number
  /** One for each page of a listing. */
  lists: number
  /** Objects removed. */
  deletes: number
  /** Bytes of objects. */
  sent: number
  received: number
  /** Requests that failed, each try counted. */
  failures: number
}

/** How metrics are told. */
export interface MetricsOptions {
  /** Whether there are metrics of each tenant as well, with its id as the label `tenant`. @default false */
  tenantLabel?: boolean
}

/** As much of a registry of `prom-client` as is needed. */
export interface MetricsRegistry {
  registerMetric(metric: any): void
  getSingleMetric(name: string): any
}
