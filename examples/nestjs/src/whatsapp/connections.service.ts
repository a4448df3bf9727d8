// All numbers that this instance runs: started when the service starts, closed before sessions are stored and released.

import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import { HybridAuthError } from 'baileys-hybrid-auth'
import { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { type SessionRef, refOf, tenantIdOf } from '../common/session-ref.js'
import { SessionsTable } from '../database/sessions-table.js'
import type { SessionRowStatus, WhatsappSession } from '../database/whatsapp-session.entity.js'
import { Connection, type Phase } from './connection.js'

/** Connections that are opened at once when the service starts. */
const AT_ONCE = 5

@Injectable()
export class ConnectionsService implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger('Connections')
  readonly #connections = new Map<string, Connection>()
  /** Sessions that the start has yet to connect. */
  readonly #queued = new Set<string>()
  #isStopping = false

  constructor(
    private readonly auth: HybridAuthService,
    private readonly table: SessionsTable
  ) {}

  find(ref: SessionRef): Connection | undefined {
    return this.#connections.get(tenantIdOf(ref))
  }

  /** A connection that is not here may have ended since its row was written: `not_here` says that we do not know. */
  statusOf(row: WhatsappSession): Phase | SessionRowStatus | 'queued' | 'not_here' {
    const connection = this.find(row)
    if (connection !== undefined) return connection.phase
    if (this.#queued.has(tenantIdOf(row))) return 'queued'
    return row.status === 'connected' ? 'not_here' : row.status
  }

  async connect(ref: SessionRef): Promise<void> {
    await this.table.add(ref)
    await this.#of(ref).connect()
  }

  /** Closes the socket and lets go of the session: any instance may connect it from now on. */
  async disconnect(ref: SessionRef): Promise<void> {
    this.find(ref)?.stop()
    await this.table.ended(ref, 'disconnected')
    await this.auth.get(tenantIdOf(ref))?.close()
  }

  /** Logs the number out and deletes its session everywhere. */
  async remove(ref: SessionRef): Promise<void> {
    const connection = this.find(ref)
    await connection?.logOut()
    await this.auth.deleteSession(tenantIdOf(ref))
    this.#connections.delete(tenantIdOf(ref))
    await this.table.remove(ref)
  }

  /** In the background: the service answers while its numbers are connected. */
  onApplicationBootstrap() {
    this.#resumeAll().catch((error) => this.#logger.error(`not all sessions were resumed: ${error.message}`))
  }

  /** Before anything is stored for the last time. Rows stay as they are: the next instance connects what was connected. */
  onModuleDestroy() {
    this.#isStopping = true
    for (const connection of this.#connections.values()) connection.stop()
  }

  async #resumeAll() {
    await this.#addUnknown()
    const waiting = (await this.table.all()).filter(({ status }) => status === 'connected')
    const total = waiting.length
    for (const row of waiting) this.#queued.add(tenantIdOf(row))
    const worker = async () => {
      for (let row = waiting.shift(); row !== undefined && !this.#isStopping; row = waiting.shift()) {
        this.#queued.delete(tenantIdOf(row))
        await this.#of(row).resume({ onlyPaired: true, wasConnected: row.lastConnectedAt !== null })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    this.#logger.log(`resumed ${total} ${total === 1 ? 'session' : 'sessions'}`)
  }

  /** Sessions that the store has and the table does not: the database was lost, or is a new one. */
  async #addUnknown() {
    const known = new Set((await this.table.all()).map(tenantIdOf))
    for (const tenantId of await this.#tenants()) {
      const ref = refOf(tenantId)
      if (ref === null || known.has(tenantId)) continue
      this.#logger.log(`${tenantId}: found in the store`)
      await this.table.add(ref, 'connected')
    }
  }

  async #tenants(): Promise<string[]> {
    try {
      return await this.auth.tenants()
    } catch (error) {
      if (!(error instanceof HybridAuthError)) throw error
      this.#logger.warn(`the store was not asked for its sessions (${error.code}): ${error.message}`)
      return []
    }
  }

  #of(ref: SessionRef): Connection {
    const tenantId = tenantIdOf(ref)
    const connection =
      this.#connections.get(tenantId) ?? new Connection({ userId: ref.userId, sessionId: ref.sessionId }, this.auth, this.table)
    this.#connections.set(tenantId, connection)
    return connection
  }
}
