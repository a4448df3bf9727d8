// PostgreSQL where DATABASE_URL says so, else a small embedded database (SQLite as WebAssembly) that is one file.

import { Module } from '@nestjs/common'
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { config } from '../config.js'
import { AddInstance1800000000000 } from './add-instance.migration.js'
import { CreateSessions1700000000000 } from './create-sessions.migration.js'
import { SessionsTable } from './sessions-table.js'
import { WhatsappSession } from './whatsapp-session.entity.js'

/** Whole or not at all: a process that is killed leaves the former file. */
function writeWhole(file: string, contents: Uint8Array) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, contents)
  renameSync(`${file}.new`, file)
}

function connection(): TypeOrmModuleOptions {
  if (config.databaseUrl !== null) return { type: 'postgres', url: config.databaseUrl, applicationName: 'whatsapp-sessions' }
  const file = join(config.dataFolder, 'sessions.sqlite')
  return { type: 'sqljs', location: file, autoSave: true, autoSaveCallback: (contents: Uint8Array) => writeWhole(file, contents) }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      ...connection(),
      entities: [WhatsappSession],
      migrations: [CreateSessions1700000000000, AddInstance1800000000000],
      migrationsRun: true,
      retryAttempts: 3,
      retryDelay: 1000
    }),
    TypeOrmModule.forFeature([WhatsappSession])
  ],
  providers: [SessionsTable],
  exports: [SessionsTable]
})
export class DatabaseModule {}
