// What there is to say about each session: the table, the auth state and the connection put together.

import { Injectable } from '@nestjs/common'
import { HybridAuthService, type SessionHealth, type SessionStatus } from 'baileys-hybrid-auth/nestjs'
import { tenantIdOf } from '../common/session-ref.js'
import { config } from '../config.js'
import { SessionsTable } from '../database/sessions-table.js'
import type { WhatsappSession } from '../database/whatsapp-session.entity.js'
import { ConnectionsService } from '../whatsapp/connections.service.js'

export interface SessionView {
  userId: string
  sessionId: string
  /** What the connection here is doing; for one that is not here, what the table says, as far as that can be true. */
  status: string
  phone: string | null
  /** Who may write: this instance, a newer one, or nobody that we know of. */
  owner: 'this instance' | 'a newer instance' | 'not open here'
  /** Which owner it is, counted over the life of the session. */
  epoch: number | null
  /** Age of the oldest write that a blank machine would not have. */
  lagMs: number | null
  backup: 'ok' | 'overdue' | 'never'
  lastBackupAt: Date | null
  lastConnectedAt: Date | null
  lastDisconnectedAt: Date | null
  store: 'ok' | 'degraded' | 'none' | null
  qrWaiting: boolean
  problem: string | null
}

const ownerOf = (status: SessionStatus | undefined): SessionView['owner'] => {
  if (status === undefined) return 'not open here'
  return status.life === 'fenced' ? 'a newer instance' : 'this instance'
}

const later = (a: Date | null, b: Date | null) => (a === null || (b !== null && b > a) ? b : a)

@Injectable()
export class SessionsService {
  constructor(
    private readonly auth: HybridAuthService,
    private readonly connections: ConnectionsService,
    private readonly table: SessionsTable
  ) {}

  async all(): Promise<SessionView[]> {
    return this.#views(await this.table.all())
  }

  async ofUser(userId: string): Promise<SessionView[]> {
    return this.#views(await this.table.ofUser(userId))
  }

  /** For `GET /health/sessions`. A session that was never paired, or was logged out, has nothing to back up. */
  async figures() {
    const rows = (await this.table.all()).filter(({ status }) => status !== 'new' && status !== 'logged_out')
    const sessions = await this.#views(rows)
    const backedUp = sessions.filter(({ backup }) => backup === 'ok').length
    const times = sessions.flatMap(({ lastBackupAt }) => (lastBackupAt === null ? [] : [lastBackupAt.getTime()]))
    return {
      total: sessions.length,
      backed_up: backedUp,
      needs_backup: sessions.length - backedUp,
      oldest_backup: times.length === 0 ? null : new Date(Math.min(...times))
    }
  }

  /** How the store fares, as far as the open sessions can tell. */
  storeHealth(): 'ok' | 'degraded' | 'none' | 'idle' {
    const stores = Object.values(this.auth.status()).flatMap((status) => (status.life === 'opening' ? [] : [status.store]))
    if (stores.length === 0) return 'idle'
    if (stores.includes('degraded')) return 'degraded'
    return stores.includes('ok') ? 'ok' : 'none'
  }

  async #views(rows: WhatsappSession[]): Promise<SessionView[]> {
    const statuses = this.auth.status()
    // Nothing is known yet of one that is being opened.
    const statusOf = (tenantId: string) => {
      const status = statuses[tenantId]
      return status?.life === 'opening' ? undefined : status
    }
    const { sessions } = await this.auth.getSessionHealth(undefined, { overdueAfterMs: config.overdueAfterMs })
    const health = new Map(sessions.map((session) => [session.tenantId, session]))
    return rows.map((row) => this.#view(row, statusOf(tenantIdOf(row)), health.get(tenantIdOf(row))))
  }

  #view(row: WhatsappSession, status: SessionStatus | undefined, health: SessionHealth | undefined): SessionView {
    const { userId, sessionId, phone, lastConnectedAt, lastDisconnectedAt } = row
    const connection = this.connections.find(row)
    const lastBackupAt = later(row.lastBackupAt, health?.lastBackupAt ?? null)
    return {
      userId,
      sessionId,
      status: this.connections.statusOf(row),
      phone,
      owner: ownerOf(status),
      epoch: status?.epoch ?? null,
      lagMs: status?.lagMs ?? null,
      backup: health?.state ?? (lastBackupAt === null ? 'never' : 'ok'),
      lastBackupAt,
      lastConnectedAt,
      lastDisconnectedAt,
      store: status?.store ?? null,
      qrWaiting: connection?.qr != null,
      problem: connection?.problem ?? null
    }
  }
}
