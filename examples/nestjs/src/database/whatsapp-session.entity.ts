import { Column, Entity, Index, PrimaryColumn } from 'typeorm'
import { config } from '../config.js'

const TIMESTAMP = config.databaseUrl === null ? 'datetime' : 'timestamptz'

/**
 * - `new`: never connected
 * - `connected`: was connected when its owner said so last; reconnected at the start of the service
 * - `disconnected`: somebody asked for that
 * - `replaced`: another program uses the same credentials; somebody has to decide
 * - `logged_out`: removed on the phone; has to be paired again
 */
export type SessionRowStatus = 'new' | 'connected' | 'disconnected' | 'replaced' | 'logged_out'

/** Knowledge of the application about a session. Nothing in here is secret, and nothing of the session itself is in here. */
@Entity('whatsapp_sessions')
export class WhatsappSession {
  @PrimaryColumn({ name: 'user_id', type: 'varchar', length: 50 })
  userId!: string

  @PrimaryColumn({ name: 'session_id', type: 'varchar', length: 50 })
  sessionId!: string

  @Column({ type: 'varchar', length: 20, default: 'new' })
  status!: SessionRowStatus

  @Column({ type: 'varchar', length: 30, nullable: true })
  phone!: string | null

  /** The instance that connected it last. */
  @Column({ type: 'varchar', length: 100, nullable: true })
  instance!: string | null

  @Index('whatsapp_sessions_last_backup_at')
  @Column({ name: 'last_backup_at', type: TIMESTAMP, nullable: true })
  lastBackupAt!: Date | null

  @Column({ name: 'last_connected_at', type: TIMESTAMP, nullable: true })
  lastConnectedAt!: Date | null

  @Column({ name: 'last_disconnected_at', type: TIMESTAMP, nullable: true })
  lastDisconnectedAt!: Date | null
}
