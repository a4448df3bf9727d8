import { type MigrationInterface, type QueryRunner, Table } from 'typeorm'

/** The table, for PostgreSQL and for the embedded database. */
export class CreateSessions1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const timestamp = runner.dataSource.options.type === 'postgres' ? 'timestamptz' : 'datetime'
    const columns = [
      { name: 'user_id', type: 'varchar', length: '50', isPrimary: true },
      { name: 'session_id', type: 'varchar', length: '50', isPrimary: true },
      { name: 'status', type: 'varchar', length: '20', default: "'new'" },
      { name: 'phone', type: 'varchar', length: '30', isNullable: true },
      { name: 'last_backup_at', type: timestamp, isNullable: true },
      { name: 'last_connected_at', type: timestamp, isNullable: true },
      { name: 'last_disconnected_at', type: timestamp, isNullable: true }
    ]
    const indices = [{ name: 'whatsapp_sessions_last_backup_at', columnNames: ['last_backup_at'] }]
    await runner.createTable(new Table({ name: 'whatsapp_sessions', columns, indices }), true)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('whatsapp_sessions')
  }
}
