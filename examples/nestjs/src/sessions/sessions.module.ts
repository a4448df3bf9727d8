import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { WhatsappModule } from '../whatsapp/whatsapp.module.js'
import { PageController } from './page.controller.js'
import { SessionsController } from './sessions.controller.js'
import { SessionsService } from './sessions.service.js'

@Module({
  imports: [WhatsappModule, DatabaseModule],
  controllers: [SessionsController, PageController],
  providers: [SessionsService],
  exports: [SessionsService]
})
export class SessionsModule {}
