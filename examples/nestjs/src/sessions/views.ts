// One session as it is shown: the table, the auth state and the connection put together.
//
// Invariant: nothing is claimed that this instance cannot know. A session that another one runs is backed up by that one, and a
// session with nothing in a store is never called backed up.

import type { OpeningStatus } from 'baileys-hybrid-auth'
import type { SessionHealth, SessionStatus } from 'baileys-hybrid-auth/nestjs'
import { config } from '../config.js'
import type { WhatsappSession } from '../database/whatsapp-session.entity.js'
import type { Connection } from '../whatsapp/connection.js'

export type Owner = 'this instance' | 'a newer instance' | 'opening here' | 'not open here'

/** `nothing`: it was never paired, or was logged out. `elsewhere`: only the instance that runs it knows. */
export type Backup = 'ok' | 'overdue' | 'never' | 'nothing' | 'elsewhere'

/** Problems for an operator, the worst first. */
export const PROBLEMS = [
  'unusable',
  'lease_lost',
  'logged_out',
  'replaced',
  'never_backed_up',
  'backup_overdue',
  'store_unavailable',
  'not_opened'
] as const
export type Problem = (typeof PROBLEMS)[number]

export interface SessionView {
  userId: string
  sessionId: string
  /** State of the connection here; for one that is not here, the state in the table, as far as that can be true. */
  status: string
  phone: string | null
  owner: Owner
  /** Name of that instance, as far as the table knows. */
  instance: string | null
  /** Number of the owner, counted over the life of the session; known for sessions that are open here. */
  epoch: number | null
  /** Age of the oldest write that a blank machine would not have. */
  lagMs: number | null
  backup: Backup
  lastBackupAt: Date | null
  lastConnectedAt: Date | null
  lastDisconnectedAt: Date | null
  store: 'ok' | 'degraded' | 'none' | null
  qrWaiting: boolean
  /** Reason that it is not connected. */
  problem: string | null
  problems: Problem[]
}

const later = (a: Date | null, b: Date | null) => (a === null || (b !== null && b > a) ? b : a)

function ownerOf(status: OpeningStatus | SessionStatus | undefined): Owner {
  if (status === undefined) return 'not open here'
  if (status.life === 'opening') return 'opening here'
  return status.life === 'fenced' ? 'a newer instance' : 'this instance'
}

function instanceOf(owner: Owner, row: WhatsappSession): string | null {
  if (owner === 'this instance' || owner === 'opening here') return config.instance
  // Of a row that was not written since, the newer instance is not known yet.
  return row.status !== 'connected' || row.instance === config.instance ? null : row.instance
}

function backupOf(row: WhatsappSession, owner: Owner, health: SessionHealth | undefined, lastBackupAt: Date | null): Backup {
  if (owner === 'a newer instance') return 'elsewhere'
  if (row.status === 'new' || row.status === 'logged_out') return 'nothing'
  if (health !== undefined && owner === 'this instance') return health.state
  if (row.status === 'connected') return 'elsewhere'
  return lastBackupAt === null ? 'never' : 'ok'
}

function problemsOf(
  status: string,
  problem: string | null,
  life: SessionStatus['life'] | 'opening' | undefined,
  backup: Backup,
  store: SessionView['store']
): Problem[] {
  const found: Record<Problem, boolean> = {
    unusable: life === 'poisoned',
    lease_lost: life === 'lease-lost',
    logged_out: status === 'logged_out',
    replaced: status === 'replaced',
    // Where there is no store, that is said once for all of them.
    never_backed_up: backup === 'never' && store !== 'none' && status === 'connected',
    backup_overdue: backup === 'overdue',
    store_unavailable: store === 'degraded' && life !== 'fenced',
    not_opened: status === 'reconnecting' && problem !== null && life === undefined
  }
  return PROBLEMS.filter((name) => found[name])
}

export function viewOf(
  row: WhatsappSession,
  status: string,
  connection: Connection | undefined,
  open: OpeningStatus | SessionStatus | undefined,
  health: SessionHealth | undefined
): SessionView {
  const { userId, sessionId, phone, lastConnectedAt, lastDisconnectedAt } = row
  const owner = ownerOf(open)
  const known = open?.life === 'opening' ? undefined : open
  const lastBackupAt = later(row.lastBackupAt, health?.lastBackupAt ?? null)
  const backup = backupOf(row, owner, health, lastBackupAt)
  const store = known?.store ?? null
  const problem = connection?.problem ?? null
  return {
    userId,
    sessionId,
    status,
    phone,
    owner,
    instance: instanceOf(owner, row),
    epoch: known?.epoch ?? null,
    lagMs: owner === 'this instance' ? (known?.lagMs ?? null) : null,
    backup,
    lastBackupAt,
    lastConnectedAt,
    lastDisconnectedAt,
    store,
    qrWaiting: connection?.qr != null,
    problem,
    problems: problemsOf(status, problem, open?.life, backup, store)
  }
}
