import { Body, Controller, Get, Header, HttpCode, NotFoundException, Param, Post } from '@nestjs/common'
import { toDataURL, toString } from 'qrcode'
import { ConnectRequest, SessionRef, UserRef } from '../common/session-ref.js'
import { SessionsTable } from '../database/sessions-table.js'
import type { WhatsappSession } from '../database/whatsapp-session.entity.js'
import { ConnectionsService } from './connections.service.js'

@Controller('api/whatsapp')
export class WhatsappController {
  constructor(
    private readonly connections: ConnectionsService,
    private readonly table: SessionsTable
  ) {}

  /** States of the user's numbers on this instance. */
  @Get('status/:userId')
  async status(@Param() { userId }: UserRef) {
    const rows = await this.table.ofUser(userId)
    return { userId, sessions: rows.map((row) => this.#statusOf(row)) }
  }

  /** Answers when the session is open and its socket is on its way; ask `status` or `qr` for the rest. */
  @Post('connect')
  @HttpCode(202)
  async connect(@Body() ref: ConnectRequest) {
    await this.connections.connect(ref)
    return this.#statusOf(await this.#rowOf(ref))
  }

  @Post('disconnect')
  @HttpCode(200)
  async disconnect(@Body() ref: ConnectRequest) {
    await this.#rowOf(ref)
    await this.connections.disconnect(ref)
    return this.#statusOf(await this.#rowOf(ref))
  }

  /** The code that the phone has to scan, as text and as the source of an `<img>`. A new one comes every 20 seconds or so. */
  @Get('qr/:userId/:sessionId')
  @Header('Cache-Control', 'no-store')
  async qr(@Param() ref: SessionRef) {
    const qr = this.#waitingQr(ref)
    return { ...ref, qr, dataUrl: await toDataURL(qr, { margin: 2 }) }
  }

  /** The same as a picture, for a browser. */
  @Get('qr/:userId/:sessionId/picture')
  @Header('Cache-Control', 'no-store')
  @Header('Content-Type', 'image/svg+xml')
  picture(@Param() ref: SessionRef) {
    return toString(this.#waitingQr(ref), { type: 'svg', margin: 2 })
  }

  #waitingQr(ref: SessionRef): string {
    const connection = this.connections.find(ref)
    if (connection?.qr == null) throw new NotFoundException('no code is waiting to be scanned: connect the session first')
    return connection.qr
  }

  async #rowOf(ref: SessionRef): Promise<WhatsappSession> {
    const row = await this.table.find(ref)
    if (row === null) throw new NotFoundException('there is no such session')
    return row
  }

  #statusOf(row: WhatsappSession) {
    const { userId, sessionId, phone } = row
    const connection = this.connections.find(row)
    return {
      userId,
      sessionId,
      status: this.connections.statusOf(row),
      phone,
      qrWaiting: connection?.qr != null,
      problem: connection?.problem ?? null
    }
  }
}
