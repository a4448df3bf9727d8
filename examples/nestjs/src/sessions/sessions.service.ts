// State of the sessions of this service, one by one and together.

import { Injectable } from '@nestjs/common'
import { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { tenantIdOf } from '../common/session-ref.js'
import { config } from '../config.js'
import { SessionsTable } from '../database/sessions-table.js'
import type { WhatsappSession } from '../database/whatsapp-session.entity.js'
import { ConnectionsService } from '../whatsapp/connections.service.js'
import { type OverviewQuery, overviewOf } from './overview.js'
import { type SessionView, viewOf } from './views.js'

@Injectable()
export class SessionsService {
  constructor(
    private readonly auth: HybridAuthService,
    private readonly connections: ConnectionsService,
    private readonly table: SessionsTable
  ) {}

  async ofUser(userId: string): Promise<SessionView[]> {
    return this.#views(await this.table.ofUser(userId))
  }

  /** A page of all sessions, with what there is to say of all of them. */
  async overview(query: OverviewQuery) {
    const rows = await this.table.all()
    const views = await this.#views(rows)
    const figures = this.#figuresOf(views.filter((_, n) => isPaired(rows[n])))
    return { at: new Date(), instance: config.instance, store: this.storeHealth(), figures, ...overviewOf(views, query) }
  }

  /** For `GET /health/sessions`. A session that was never paired, or was logged out, has nothing to back up. */
  async figures() {
    return this.#figuresOf(await this.#views((await this.table.all()).filter(isPaired)))
  }

  /** Condition of the store, as far as the open sessions can tell. */
  storeHealth(): 'ok' | 'degraded' | 'none' | 'idle' {
    const stores = Object.values(this.auth.status()).flatMap((status) => (status.life === 'opening' ? [] : [status.store]))
    if (stores.length === 0) return 'idle'
    if (stores.includes('degraded')) return 'degraded'
    return stores.includes('ok') ? 'ok' : 'none'
  }

  #figuresOf(sessions: SessionView[]) {
    const isBackedUp = ({ backup, lastBackupAt }: SessionView) => backup === 'ok' || (backup === 'elsewhere' && lastBackupAt !== null)
    const backedUp = sessions.filter(isBackedUp).length
    const times = sessions.flatMap(({ lastBackupAt }) => (lastBackupAt === null ? [] : [lastBackupAt.getTime()]))
    return {
      total: sessions.length,
      backed_up: backedUp,
      needs_backup: sessions.length - backedUp,
      oldest_backup: times.length === 0 ? null : new Date(Math.min(...times))
    }
  }

  async #views(rows: WhatsappSession[]): Promise<SessionView[]> {
    const statuses = this.auth.status()
    const { sessions } = await this.auth.getSessionHealth(undefined, { overdueAfterMs: config.overdueAfterMs })
    const health = new Map(sessions.map((session) => [session.tenantId, session]))
    return rows.map((row) => {
      const tenantId = tenantIdOf(row)
      return viewOf(row, this.connections.statusOf(row), this.connections.find(row), statuses[tenantId], health.get(tenantId))
    })
  }
}

const isPaired = ({ status }: WhatsappSession) => status !== 'new' && status !== 'logged_out'
