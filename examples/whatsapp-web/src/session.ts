// One number: a client of whatsapp-web.js, its browser, and its session in the store.

import { Logger } from '@nestjs/common'
import { HybridAuthError } from 'baileys-hybrid-auth'
import type { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import type { HybridAuth } from 'baileys-hybrid-auth/whatsapp-web'
import { Client } from 'whatsapp-web.js'
import { config } from './config'

export type State = 'starting' | 'waiting_for_scan' | 'ready' | 'reconnecting' | 'taken_over' | 'logged_out' | 'failed' | 'stopped'

const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [5000, 300_000]

/** Failures that pass by themselves. Every other one needs a person. */
const PASSING = ['REMOTE_UNAVAILABLE', 'LOCAL_UNAVAILABLE', 'ALREADY_OPEN', 'OWNED_ELSEWHERE']

export class Session {
  state: State = 'stopped'
  /** The code that waits for a phone. */
  qr: string | null = null
  problem: string | null = null
  readonly #logger = new Logger('Session')
  readonly #auth: HybridAuthService
  #client: Client | null = null
  #strategy: HybridAuth | null = null
  #timer: NodeJS.Timeout | undefined
  #failures = 0

  constructor(
    auth: HybridAuthService,
    readonly clientId: string
  ) {
    this.#auth = auth
  }

  /** The profile in the store, while the session is open here. */
  get profile() {
    return this.#strategy?.profile ?? null
  }

  /** Resolves when the browser shows WhatsApp Web. `pair`: a session that exists nowhere may be created, and shows a code. */
  async start({ pair }: { pair: boolean }): Promise<void> {
    if (this.#client !== null) return
    clearTimeout(this.#timer)
    this.#set('starting')
    const strategy = this.#auth.whatsappWeb(this.clientId, { dataPath: config.dataPath, onMissing: pair ? 'create' : 'error' })
    const client = new Client({
      authStrategy: strategy,
      // No copies of WhatsApp's page in the working directory, which may be read-only.
      webVersionCache: { type: 'none' },
      // On SIGINT this service closes its browsers itself: Puppeteer would end them before anything is stored.
      puppeteer: {
        executablePath: config.chromiumPath,
        args: config.chromiumArgs,
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false
      }
    })
    this.#client = client
    this.#strategy = strategy
    client.on('qr', (code) => this.#set('waiting_for_scan', { qr: code }))
    client.on('ready', () => {
      this.#failures = 0
      this.#set('ready')
    })
    client.on('disconnected', (reason) => void this.#ended(client, String(reason)))
    try {
      await client.initialize()
    } catch (error) {
      if (this.#client !== client) return
      await this.#close()
      this.#failed(error)
      throw error
    }
  }

  /** Ends the browser, stores the last state and lets go of the session: any instance may start it from now on. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#close()
    this.#set('stopped')
  }

  /** Unlinks the device, and deletes the session everywhere. */
  async logOut(): Promise<void> {
    clearTimeout(this.#timer)
    const client = this.#client
    if (client === null) await this.#auth.delete(`whatsapp-web.js/${this.clientId}`)
    // Without a linked device there is nothing to unlink, and the page may not be there.
    else if (this.state === 'ready') await client.logout()
    else await this.profile?.logout()
    await this.#close()
    this.#set('logged_out')
  }

  async #close() {
    const client = this.#client
    this.#client = null
    await client?.destroy().catch(() => {})
    // A client without a browser leaves its strategy as it is.
    await this.#strategy?.destroy()
    this.#strategy = null
  }

  /** Only a logout deletes a session; this package did that already. */
  async #ended(client: Client, reason: string) {
    if (this.#client !== client) return
    // The browser stays after a logout on the phone, and shows the code of the next session.
    if (reason === 'LOGOUT') return this.#set('starting', { problem: 'removed on the phone' })
    await this.#close()
    if (reason === 'FENCED') this.#set('taken_over', { problem: 'a newer instance runs it' })
    else if (reason === 'CONFLICT') this.#set('failed', { problem: 'WhatsApp Web is used elsewhere with the same session' })
    else if (reason.startsWith('UNPAIRED')) this.#set('logged_out', { problem: 'removed on the phone' })
    else this.#retry(reason)
  }

  #failed(error: unknown) {
    const code = error instanceof HybridAuthError ? error.code : null
    const message = error instanceof Error ? error.message : String(error)
    if (code === 'DELETED') this.#set('logged_out', { problem: message })
    else if (code === 'FENCED') this.#set('taken_over', { problem: message })
    else if (code === null || PASSING.includes(code)) this.#retry(message)
    else this.#set('failed', { problem: message })
  }

  #retry(problem: string) {
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++)
    this.#set('reconnecting', { problem })
    this.#timer = setTimeout(() => void this.start({ pair: false }).catch(() => {}), wait)
  }

  #set(state: State, { qr = null, problem = null }: { qr?: string | null; problem?: string | null } = {}) {
    if (state !== this.state) this.#logger.log(`${this.clientId}: ${state}${problem === null ? '' : ` (${problem})`}`)
    this.state = state
    this.qr = qr
    this.problem = problem
  }
}
