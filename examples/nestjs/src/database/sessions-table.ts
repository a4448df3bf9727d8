// The table of sessions, in the words of this application. Each method is one statement, so that two instances may use the table
// at the same time.

import { Injectable } from '@nestjs/common'
import { InjectRepository } from '@nestjs/typeorm'
import { Not, type Repository } from 'typeorm'
import { type SessionRef, refOf } from '../common/session-ref.js'
import { config } from '../config.js'
import { type SessionRowStatus, WhatsappSession } from './whatsapp-session.entity.js'

const keyOf = ({ userId, sessionId }: SessionRef) => ({ userId, sessionId })

@Injectable()
export class SessionsTable {
  constructor(@InjectRepository(WhatsappSession) private readonly rows: Repository<WhatsappSession>) {}

  all(): Promise<WhatsappSession[]> {
    return this.rows.find({ order: { userId: 'ASC', sessionId: 'ASC' } })
  }

  ofUser(userId: string): Promise<WhatsappSession[]> {
    return this.rows.find({ where: { userId }, order: { sessionId: 'ASC' } })
  }

  find(ref: SessionRef): Promise<WhatsappSession | null> {
    return this.rows.findOneBy(keyOf(ref))
  }

  /** Does nothing for one that is there. */
  async add(ref: SessionRef, status: SessionRowStatus = 'new'): Promise<void> {
    await this.rows
      .createQueryBuilder()
      .insert()
      .values({ ...keyOf(ref), status })
      .orIgnore()
      .execute()
  }

  async connected(ref: SessionRef, phone: string | null): Promise<void> {
    await this.rows.update(keyOf(ref), { status: 'connected', phone, instance: config.instance, lastConnectedAt: new Date() })
  }

  /** It is down for a moment, and being connected again. */
  async interrupted(ref: SessionRef): Promise<void> {
    await this.rows.update(keyOf(ref), { lastDisconnectedAt: new Date() })
  }

  async ended(ref: SessionRef, status: Exclude<SessionRowStatus, 'connected'>): Promise<void> {
    await this.rows.update({ ...keyOf(ref), status: Not(status) }, { status, lastDisconnectedAt: new Date() })
  }

  async backedUp(tenantId: string, at: Date): Promise<void> {
    const ref = refOf(tenantId)
    if (ref !== null) await this.rows.update(keyOf(ref), { lastBackupAt: at })
  }

  async remove(ref: SessionRef): Promise<void> {
    await this.rows.delete(keyOf(ref))
  }

  async ping(): Promise<void> {
    await this.rows.query('SELECT 1')
  }
}
