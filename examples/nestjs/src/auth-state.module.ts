// The auth state of all sessions, for the whole application: `HybridAuthService` can be injected anywhere.

import { Module } from '@nestjs/common'
import * as baileys from 'baileys'
import { HybridAuthModule } from 'baileys-hybrid-auth/nestjs'
import { config } from './config.js'
import { DatabaseModule } from './database/database.module.js'
import { SessionsTable } from './database/sessions-table.js'

@Module({
  imports: [
    HybridAuthModule.forRootAsync({
      isGlobal: true,
      imports: [DatabaseModule],
      inject: [SessionsTable],
      useFactory: (table: SessionsTable) => ({
        baileys,
        directory: config.sessionFolder,
        // Only a user who connects a number creates a session: `connection.ts`.
        onMissing: 'error' as const,
        // With a real store, the variables decide and a key is asked for.
        ...(config.tryOutStore === undefined ? {} : { store: config.tryOutStore, encryption: 'off' as const }),
        onBackup: ({ tenantId, at }) => table.backedUp(tenantId, at)
      })
    })
  ]
})
export class AuthStateModule {}
