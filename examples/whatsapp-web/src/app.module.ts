import { Module } from '@nestjs/common'
import { APP_FILTER, APP_GUARD } from '@nestjs/core'
import { HybridAuthModule } from 'baileys-hybrid-auth/nestjs'
import { HybridAuthErrorFilter, TokenGuard } from './access'
import { config } from './config'
import { HealthController } from './health.controller'
import { SessionsController } from './sessions.controller'
import { SessionsService } from './sessions.service'

@Module({
  imports: [HybridAuthModule.forRoot({ ...config.tryOut, onMissing: 'error', shutdownTimeoutMs: 20_000 })],
  controllers: [SessionsController, HealthController],
  providers: [SessionsService, { provide: APP_GUARD, useClass: TokenGuard }, { provide: APP_FILTER, useClass: HybridAuthErrorFilter }]
})
export class AppModule {}
