// One number: its session, its socket, and the reaction to the end of the socket.
//
// Invariants: there is one socket at a time, and what a former one still says is not listened to. A session that a newer
// instance owns is left alone, its row in the table included. Only a logout deletes.

import { Logger } from '@nestjs/common'
import { makeWASocket, type ConnectionState, type WASocket } from 'baileys'
import { HybridAuthError, type HybridAuthState } from 'baileys-hybrid-auth'
import type { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { pino } from 'pino'
import { type SessionRef, tenantIdOf } from '../common/session-ref.js'
import { config } from '../config.js'
import type { SessionsTable } from '../database/sessions-table.js'
import { reactionTo, waitAfter } from './disconnects.js'

export type Phase =
  | 'disconnected'
  | 'connecting'
  | 'waiting_for_scan'
  | 'connected'
  | 'reconnecting'
  | 'asking_owner'
  | 'replaced'
  | 'taken_over'
  | 'logged_out'

/** After this long, an instance has noticed a newer owner: two checks of ownership and a margin. */
const OWNERSHIP_ANSWER_MS = 12_000

const baileysLogger = pino({ level: config.baileysLogLevel })

export class Connection {
  phase: Phase = 'disconnected'
  /** The code that the phone has to scan, while it is waited for. */
  qr: string | null = null
  /** Reason that it is not connected, for a person. */
  problem: string | null = null
  readonly #tenantId: string
  readonly #logger = new Logger('Connection')
  #watched: HybridAuthState | null = null
  #socket: WASocket | null = null
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  /** Counts starts and stops: code that waited meanwhile sees that its turn is over. */
  #turn = 0

  constructor(
    private readonly ref: SessionRef,
    private readonly auth: HybridAuthService,
    private readonly table: SessionsTable
  ) {
    this.#tenantId = tenantIdOf(ref)
  }

  /** A person asks for it: a new session is made where there is none, and one that another instance has is taken over. */
  async connect(): Promise<void> {
    if (this.#socket !== null || this.phase === 'connecting') return
    const turn = this.#begin('connecting')
    try {
      await this.#openSocket(turn, () => this.#openByPerson())
    } catch (error) {
      if (turn === this.#turn) this.#halt('disconnected', error)
      throw error
    }
  }

  /** The service starts, or a connection was lost: the session is there, or something is wrong. Tries until it is told not to. */
  async resume({
    phase = 'connecting',
    onlyPaired = false,
    wasConnected = true
  }: { phase?: Phase; onlyPaired?: boolean; wasConnected?: boolean } = {}): Promise<void> {
    const turn = this.#begin(phase)
    try {
      await this.#openSocket(turn, () => this.auth.initialize(this.#tenantId), onlyPaired)
    } catch (error) {
      if (turn === this.#turn) this.#notOpened(error, wasConnected)
    }
  }

  /** Closes the socket and stays away. */
  stop() {
    this.#halt('disconnected')
  }

  /** Tells WhatsApp that this device is no more, if we are connected: the phone then drops it from its list. */
  async logOut(): Promise<void> {
    const socket = this.#socket
    const wasConnected = this.phase === 'connected'
    this.#turn++
    this.#socket = null
    if (wasConnected)
      await socket?.logout().catch((error) => this.#logger.warn(`${this.#tenantId}: WhatsApp was not told of the logout: ${error.message}`))
    socket?.end(undefined)
    this.#halt('logged_out')
  }

  async #openByPerson(): Promise<HybridAuthState> {
    try {
      return await this.auth.open(this.#tenantId, { onMissing: 'create' })
    } catch (error) {
      if (!(error instanceof HybridAuthError) || error.code !== 'DELETED') throw error
      return this.auth.open(this.#tenantId, { onMissing: 'create', fresh: true })
    }
  }

  async #openSocket(turn: number, open: () => Promise<HybridAuthState>, onlyPaired = false) {
    const session = await this.#sessionFrom(open)
    if (turn !== this.#turn) return
    if (onlyPaired && session.state.creds.me === undefined) {
      this.#note(this.table.ended(this.ref, 'new'))
      this.#note(session.close())
      return this.#halt('disconnected', 'never paired: connect it to see a code')
    }
    const socket = makeWASocket({
      auth: session.state,
      logger: baileysLogger,
      ...(config.webSocketUrl === undefined ? {} : { waWebSocketUrl: config.webSocketUrl })
    })
    this.#socket = socket
    socket.ev.on('creds.update', session.saveCreds)
    socket.ev.on('connection.update', (update) => {
      if (this.#socket === socket) this.#follow(update)
    })
  }

  /** One session for all sockets that follow each other: what a former one still stores goes the same way. */
  async #sessionFrom(open: () => Promise<HybridAuthState>): Promise<HybridAuthState> {
    const isLive = this.auth.status()[this.#tenantId]?.life === 'live'
    const session = (isLive ? this.auth.get(this.#tenantId) : undefined) ?? (await open())
    if (this.#watched !== session) session.on('fenced', () => this.#takenOver())
    this.#watched = session
    return session
  }

  #follow({ connection, qr, lastDisconnect }: Partial<ConnectionState>) {
    if (qr !== undefined) {
      this.phase = 'waiting_for_scan'
      this.qr = qr
    }
    if (connection === 'open') this.#opened()
    if (connection === 'close') this.#closed(lastDisconnect?.error as { output?: { statusCode?: number }; message?: string } | undefined)
  }

  #opened() {
    this.phase = 'connected'
    this.qr = null
    this.problem = null
    this.#failures = 0
    this.#note(this.table.connected(this.ref, phoneOf(this.#socket)))
    this.#logger.log(`${this.#tenantId}: connected`)
  }

  #closed(error: { output?: { statusCode?: number }; message?: string } | undefined) {
    const statusCode = error?.output?.statusCode
    const wasWaiting = this.phase === 'waiting_for_scan'
    const wasConnected = this.phase === 'connected'
    this.#logger.log(`${this.#tenantId}: disconnected (${statusCode ?? 'no reason'}, ${error?.message ?? ''})`)
    switch (reactionTo(statusCode)) {
      case 'delete':
        return void this.#loggedOut()
      case 'ask-owner':
        return void this.#askOwner()
      case 'reconnect-now':
        return void this.resume()
      case 'reconnect-later':
        // Nobody scanned the last of the codes: pairing must be requested again.
        if (wasWaiting) return this.#halt('disconnected', 'nobody scanned the code: connect again for a new one')
        if (wasConnected) this.#note(this.table.interrupted(this.ref))
        this.#resumeLater(error?.message)
    }
  }

  #resumeLater(problem: unknown) {
    this.#halt('reconnecting', problem)
    this.#timer = setTimeout(() => void this.resume({ phase: 'reconnecting' }), waitAfter(++this.#failures))
  }

  /** The session could not be opened for a connection that nobody waits for. */
  #notOpened(error: unknown, wasConnected: boolean) {
    const code = error instanceof HybridAuthError ? error.code : undefined
    if (code === 'FENCED') return this.#takenOver()
    if (code === 'NOT_FOUND' && !wasConnected) {
      this.#note(this.table.ended(this.ref, 'new'))
      return this.#halt('disconnected', 'never paired: connect it to see a code')
    }
    if (code === 'CLOSED') return this.#halt('disconnected')
    if (code === 'DELETED') {
      this.#note(this.table.ended(this.ref, 'logged_out'))
      return this.#halt('logged_out', error)
    }
    this.#logger.warn(`${this.#tenantId}: not opened (${code ?? String(error)}), tried again later`)
    this.#resumeLater(error)
  }

  #takenOver() {
    if (this.phase === 'taken_over' || this.phase === 'logged_out') return
    this.#logger.warn(`${this.#tenantId}: a newer instance owns it; its socket here is closed`)
    this.#halt('taken_over', 'a newer instance runs it')
  }

  /** Replaced by whom? By a newer instance of this service, which is as it should be; or by a copy of the credentials. */
  async #askOwner() {
    const turn = this.#begin('asking_owner')
    for (const until = Date.now() + OWNERSHIP_ANSWER_MS; Date.now() < until;) {
      if (turn !== this.#turn) return
      if (this.auth.status()[this.#tenantId]?.life === 'fenced') return this.#takenOver()
      await new Promise((resolve) => setTimeout(resolve, 250).unref())
    }
    if (turn !== this.#turn) return
    this.#note(this.table.ended(this.ref, 'replaced'))
    this.#halt('replaced', 'another program uses the same credentials: end it, and connect again')
    this.#logger.error(`${this.#tenantId}: replaced by a program that does not share our store; not connected again`)
  }

  async #loggedOut() {
    const turn = this.#begin('logged_out')
    try {
      await this.auth.deleteSession(this.#tenantId)
    } catch (error) {
      if (turn !== this.#turn) return
      if (error instanceof HybridAuthError && error.code === 'FENCED') return this.#takenOver()
      // The store cannot be told: until it is, the dead session would come back from it.
      this.#timer = setTimeout(() => void this.#loggedOut(), waitAfter(++this.#failures))
      return
    }
    this.#note(this.table.ended(this.ref, 'logged_out'))
    if (turn === this.#turn) this.#halt('logged_out', 'removed on the phone: connect again to pair it anew')
  }

  #begin(phase: Phase): number {
    this.#halt(phase)
    return this.#turn
  }

  /** Nothing runs any more: no socket, no timer, nothing that was waited for. */
  #halt(phase: Phase, problem: unknown = null) {
    const socket = this.#socket
    this.#turn++
    this.#socket = null
    clearTimeout(this.#timer)
    this.phase = phase
    this.qr = null
    this.problem = problem instanceof Error ? problem.message : (problem as string | null)
    socket?.end(undefined)
  }

  /** The table is for people and for the next start: a session goes on without it. */
  #note(writing: Promise<void>) {
    writing.catch((error) => this.#logger.error(`${this.#tenantId}: not noted: ${error.message}`))
  }
}

/** `15551234567:3@s.whatsapp.net` is device 3 of 15551234567. */
function phoneOf(socket: WASocket | null): string | null {
  return socket?.user?.id.split(/[:@]/)[0] ?? null
}
