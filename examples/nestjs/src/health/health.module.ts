import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { SessionsModule } from '../sessions/sessions.module.js'
import { HealthController } from './health.controller.js'

@Module({ imports: [SessionsModule, DatabaseModule], controllers: [HealthController] })
export class HealthModule {}
