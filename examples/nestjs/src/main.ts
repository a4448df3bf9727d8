import 'reflect-metadata'
import { Logger, ValidationPipe } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { HybridAuthError } from 'baileys-hybrid-auth'
import { AppModule } from './app.module.js'
import { config } from './config.js'

const logger = new Logger('Main')

// Baileys does not wait for all of its writes. One that is refused because a newer instance owns the session ends nothing here.
process.on('unhandledRejection', (error) => {
  if (error instanceof HybridAuthError && error.code === 'FENCED') return logger.warn('a write of a session that a newer instance owns was refused')
  throw error
})

const app = await NestFactory.create<NestExpressApplication>(AppModule)
app.disable('x-powered-by')
app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }))
// Without this, a signal ends the process before everything is stored and released.
app.enableShutdownHooks()
await app.listen(config.port, config.host)
logger.log(`listening on ${await app.getUrl()}, ready after ${Math.round(performance.now())} ms`)
if (config.apiToken === null) logger.warn('API_TOKEN is not set: only this machine is answered, and anybody on it')
if (config.tryOutStore !== undefined) logger.warn('no store is set: a directory is the bucket, unencrypted. Good for trying out, and for nothing else')
