import 'reflect-metadata'
import { Logger, ValidationPipe } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { AppModule } from './app.module.js'
import { isRemainder } from './common/unhandled-rejections.js'
import { config } from './config.js'

const logger = new Logger('Main')

process.on('unhandledRejection', (error) => {
  if (!isRemainder(error)) throw error
  logger.warn(`left over from a socket that has ended: ${error.message}`)
})

const app = await NestFactory.create<NestExpressApplication>(AppModule)
app.disable('x-powered-by')
app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }))
// Without this, a signal ends the process before everything is stored and released.
app.enableShutdownHooks()
await app.listen(config.port, config.host)
logger.log(`listening on ${await app.getUrl()}, ready after ${Math.round(performance.now())} ms`)
if (config.apiToken === null) logger.warn('API_TOKEN is not set: only this machine is answered, and anybody on it')
if (config.tryOutStore !== undefined)
  logger.warn('no store is set: a directory is the bucket, unencrypted. Good for trying out, and for nothing else')
