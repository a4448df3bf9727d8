import { Module } from '@nestjs/common'
import { AuthStateModule } from '../auth-state.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { ConnectionsService } from './connections.service.js'
import { WhatsappController } from './whatsapp.controller.js'

@Module({
  imports: [AuthStateModule, DatabaseModule],
  controllers: [WhatsappController],
  providers: [ConnectionsService],
  exports: [ConnectionsService]
})
export class WhatsappModule {}
