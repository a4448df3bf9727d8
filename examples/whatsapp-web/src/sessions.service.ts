// All numbers of this service. The store is the list of them: a blank machine knows what to restore. Put your own table in its place
// if sessions belong to customers, or if one is to stay stopped over a restart.

import { Injectable, NotFoundException, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common'
import { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { config } from './config'
import { Session } from './session'

const PREFIX = 'whatsapp-web.js/'

export interface SessionView {
  clientId: string
  state: string
  qrWaiting: boolean
  /** The newest backup that a new machine could restore. */
  lastBackupAt: Date | null
  backupAgeMs: number | null
  problem: string | null
}

@Injectable()
export class SessionsService implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #sessions = new Map<string, Session>()
  #isStopping = false

  constructor(private readonly auth: HybridAuthService) {}

  find(clientId: string): Session {
    const session = this.#sessions.get(clientId)
    if (session === undefined) throw new NotFoundException('this session is not running here')
    return session
  }

  running(): Session[] {
    return [...this.#sessions.values()]
  }

  async list(): Promise<SessionView[]> {
    const views = new Map(this.running().map((session) => [session.clientId, viewOf(session)]))
    for (const clientId of await this.#stored()) {
      if (!views.has(clientId))
        views.set(clientId, { clientId, state: 'not_here', qrWaiting: false, lastBackupAt: null, backupAgeMs: null, problem: null })
    }
    return [...views.values()]
  }

  /** Starts a session, a new one too. */
  async start(clientId: string): Promise<SessionView> {
    const session = this.#of(clientId)
    await session.start({ pair: true })
    return viewOf(session)
  }

  async remove(clientId: string): Promise<void> {
    await this.#of(clientId).logOut()
    this.#sessions.delete(clientId)
  }

  /** Starts all sessions of the store, a few at a time. One that fails stops no other. */
  async restoreAll() {
    const waiting = await this.#stored()
    const restored: string[] = []
    const failed: { clientId: string; problem: string }[] = []
    const worker = async () => {
      for (let clientId = waiting.shift(); clientId !== undefined && !this.#isStopping; clientId = waiting.shift()) {
        const id = clientId
        await this.#of(id)
          .start({ pair: false })
          .then(
            () => restored.push(id),
            ({ message }) => failed.push({ clientId: id, problem: message })
          )
      }
    }
    await Promise.all(Array.from({ length: config.restoreAtOnce }, worker))
    return { restored, failed }
  }

  /** In the background: the service answers while its browsers start. */
  onApplicationBootstrap() {
    if (process.env.RESTORE_ON_START !== 'false') void this.restoreAll().catch(() => {})
  }

  /** Before the module of the auth state releases what is left. */
  async onModuleDestroy() {
    this.#isStopping = true
    await Promise.allSettled(this.running().map((session) => session.stop()))
  }

  #of(clientId: string): Session {
    const session = this.#sessions.get(clientId) ?? new Session(this.auth, clientId)
    this.#sessions.set(clientId, session)
    return session
  }

  async #stored(): Promise<string[]> {
    return (await this.auth.tenants()).filter((tenantId) => tenantId.startsWith(PREFIX)).map((tenantId) => tenantId.slice(PREFIX.length))
  }
}

function viewOf({ clientId, state, qr, problem, profile }: Session): SessionView {
  const generation = profile?.generation() ?? null
  const lastBackupAt = generation === null ? null : new Date(generation.at)
  return { clientId, state, qrWaiting: qr !== null, lastBackupAt, backupAgeMs: profile?.status().ageMs ?? null, problem }
}
