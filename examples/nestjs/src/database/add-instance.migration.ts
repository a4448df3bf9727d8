import { type MigrationInterface, type QueryRunner, TableColumn } from 'typeorm'

/** Adds the instance that connected a session last, which an operator looks for when another one took it over. */
export class AddInstance1800000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumn('whatsapp_sessions', new TableColumn({ name: 'instance', type: 'varchar', length: '100', isNullable: true }))
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropColumn('whatsapp_sessions', 'instance')
  }
}
