import { BadRequestException, Controller, Delete, Get, HttpCode, NotFoundException, Param, Post, type PipeTransform } from '@nestjs/common'
import { SessionsService } from './sessions.service'

/** A client id of whatsapp-web.js, and no path. */
class ClientId implements PipeTransform<string> {
  transform(value: string): string {
    if (!/^[-_\w]{1,60}$/.test(value)) throw new BadRequestException('an id has 1 to 60 letters, digits, `-` and `_`')
    return value
  }
}

@Controller('sessions')
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  list() {
    return this.sessions.list()
  }

  /** Answers when all browsers are started: minutes, for many sessions. */
  @Post('restore')
  @HttpCode(200)
  restore() {
    return this.sessions.restoreAll()
  }

  /** Answers when the browser shows WhatsApp Web; ask for the list and the code then. */
  @Post(':id')
  @HttpCode(202)
  start(@Param('id', ClientId) id: string) {
    return this.sessions.start(id)
  }

  /** The text of the QR code. */
  @Get(':id/qr')
  qr(@Param('id', ClientId) id: string) {
    const { qr } = this.sessions.find(id)
    if (qr === null) throw new NotFoundException('no code is waiting to be scanned')
    return { qr }
  }

  /** Answers when a new machine could restore what the browser has written. */
  @Post(':id/backup')
  @HttpCode(200)
  backup(@Param('id', ClientId) id: string) {
    const { profile } = this.sessions.find(id)
    if (profile === null) throw new NotFoundException('this session is not open here')
    return profile.backup()
  }

  @Post(':id/stop')
  @HttpCode(204)
  stop(@Param('id', ClientId) id: string) {
    return this.sessions.find(id).stop()
  }

  /** Unlinks the device and deletes the session everywhere. */
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id', ClientId) id: string) {
    return this.sessions.remove(id)
  }
}
