import { Controller, Delete, Get, HttpCode, NotFoundException, Param, Post, Query } from '@nestjs/common'
import { HybridAuthService } from 'baileys-hybrid-auth/nestjs'
import { SessionRef, UserRef, tenantIdOf } from '../common/session-ref.js'
import { SessionsTable } from '../database/sessions-table.js'
import { ConnectionsService } from '../whatsapp/connections.service.js'
import { OverviewQuery } from './overview.js'
import { SessionsService } from './sessions.service.js'

@Controller('api/sessions')
export class SessionsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly auth: HybridAuthService,
    private readonly connections: ConnectionsService,
    private readonly table: SessionsTable
  ) {}

  /** Of all users, a page at a time, for the status page. */
  @Get()
  overview(@Query() query: OverviewQuery) {
    return this.sessions.overview(query)
  }

  @Get(':userId')
  async list(@Param() { userId }: UserRef) {
    return { userId, sessions: await this.sessions.ofUser(userId) }
  }

  /** Answers when everything is restorable from the store. There is no need to call it: changes are stored as they happen. */
  @Post(':userId/:sessionId/sync')
  @HttpCode(200)
  async sync(@Param() ref: SessionRef) {
    await this.#known(ref)
    await this.auth.backup(tenantIdOf(ref))
    return { ...ref, synced: true, lagMs: this.auth.get(tenantIdOf(ref))?.status().lagMs ?? null }
  }

  /** Opens the session from the disk or the store; whichever has more wins. It is not connected by this. */
  @Post(':userId/:sessionId/restore')
  @HttpCode(200)
  async restore(@Param() ref: SessionRef) {
    const tenantId = tenantIdOf(ref)
    if (!(await this.auth.restore(tenantId))) throw new NotFoundException('neither the store nor the disk has this session')
    await this.table.add(ref, 'disconnected')
    return { ...ref, restored: true, from: this.auth.get(tenantId)?.status().restored.source ?? null }
  }

  /** Logs the number out, and deletes its session here and in the store. It has to be paired again afterwards. */
  @Delete(':userId/:sessionId')
  @HttpCode(204)
  async remove(@Param() ref: SessionRef) {
    await this.#known(ref)
    await this.connections.remove(ref)
  }

  async #known(ref: SessionRef) {
    if ((await this.table.find(ref)) === null) throw new NotFoundException('there is no such session')
  }
}
