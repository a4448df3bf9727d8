// For platforms and monitors. These answers name nobody.
//
// `/health` answers 200 while the process answers: let platforms restart on it. `/health/r2` is 503 while the store is away or backups
// fail: alert on it. A restart would not bring the store back, and may lose the disk.

import { Controller, Get, Header, HttpStatus, Res } from '@nestjs/common'
import type { Response } from 'express'
import { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { SessionsService } from './sessions.service'

/** The store is asked once in this time, however many ask here: each look makes some requests. */
const KEPT_MS = 30_000

/** Checks of the store that a backup needs. */
const NEEDED = ['reachable', 'write', 'list', 'read']

@Controller()
export class HealthController {
  #looked = 0
  #look: Promise<{ reachable: boolean; writable: boolean; problems: string[] }> | null = null

  constructor(
    private readonly auth: HybridAuthService,
    private readonly sessions: SessionsService
  ) {}

  @Get('health')
  health() {
    return this.auth.health()
  }

  @Get('health/r2')
  async store(@Res({ passthrough: true }) response: Response) {
    const now = Date.now()
    if (this.#look === null || now - this.#looked > KEPT_MS) {
      this.#looked = now
      this.#look = this.#ask()
    }
    const store = await this.#look
    const { failing, neverBackedUp, oldestBackupMs } = this.auth.health().profiles
    const isWell = store.reachable && store.writable && failing === 0
    // A bad answer is not kept: the next one may be better.
    if (!isWell) this.#look = null
    response.status(isWell ? HttpStatus.OK : HttpStatus.SERVICE_UNAVAILABLE)
    const backups = this.sessions.running().map(({ state, profile }) => ({ state, lastBackupAt: dateOf(profile?.generation()?.at) }))
    return { status: isWell ? 'ok' : 'unavailable', ...store, backups, failing, neverBackedUp, oldestBackupMs }
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4')
  metrics() {
    return this.auth.metrics()
  }

  async #ask() {
    const checks = await this.auth.doctor()
    const isOk = (name: string) => checks.some((check) => check.name === name && check.outcome === 'ok')
    const problems = checks
      .filter(({ name, outcome }) => NEEDED.includes(name) && outcome !== 'ok')
      .map(({ name, message }) => `${name}: ${message}`)
    return { reachable: isOk('reachable'), writable: isOk('write'), problems }
  }
}

const dateOf = (at: number | undefined) => (at === undefined ? null : new Date(at))
