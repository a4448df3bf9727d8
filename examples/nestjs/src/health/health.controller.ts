// For platforms and monitors. These answers name nobody.
//
// `/api/health` answers 200 while the process answers: a platform that restarts a service whose store is away would take the
// disk from sessions that need it just then. Alert on `status`, do not restart on it.

import { Controller, Get } from '@nestjs/common'
import { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { Open } from '../common/api-token.guard.js'
import { SessionsTable } from '../database/sessions-table.js'
import { SessionsService } from '../sessions/sessions.service.js'

@Open()
@Controller()
export class HealthController {
  constructor(
    private readonly auth: HybridAuthService,
    private readonly sessions: SessionsService,
    private readonly table: SessionsTable
  ) {}

  @Get('api/health')
  async health() {
    const { healthy, sessions, fenced, maxLagMs } = this.auth.health()
    const database = await this.table.ping().then(
      () => 'ok',
      () => 'down'
    )
    return {
      status: healthy && database === 'ok' ? 'ok' : 'degraded',
      cloudStorage: this.sessions.storeHealth(),
      database,
      activeSessions: sessions - fenced,
      maxLagMs
    }
  }

  @Get('health/sessions')
  figures() {
    return this.sessions.figures()
  }
}
