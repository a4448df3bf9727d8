import { Module } from '@nestjs/common'
import { APP_FILTER, APP_GUARD } from '@nestjs/core'
import { ApiTokenGuard } from './common/api-token.guard.js'
import { HybridAuthErrorFilter } from './common/hybrid-auth-error.filter.js'
import { HealthModule } from './health/health.module.js'
import { SessionsModule } from './sessions/sessions.module.js'
import { WhatsappModule } from './whatsapp/whatsapp.module.js'

@Module({
  imports: [WhatsappModule, SessionsModule, HealthModule],
  providers: [
    { provide: APP_GUARD, useClass: ApiTokenGuard },
    { provide: APP_FILTER, useClass: HybridAuthErrorFilter }
  ]
})
export class AppModule {}
