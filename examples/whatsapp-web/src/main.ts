import 'reflect-metadata'
import { Logger } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module'
import { config } from './config'

async function main() {
  const logger = new Logger('Main')
  const app = await NestFactory.create(AppModule)
  // On SIGTERM and SIGINT everything is stored and released. Without this call, a signal ends the process before.
  app.enableShutdownHooks()
  await app.listen(config.port, config.host)
  logger.log(`listening on ${await app.getUrl()}, ready after ${Math.round(performance.now())} ms`)
  if (config.apiToken === null) logger.warn('API_TOKEN is not set: only this machine is answered, and anybody on it')
  if ('store' in config.tryOut)
    logger.warn('no store is set: a directory is the bucket, unencrypted. Good for trying out, and for nothing else')
}

void main()
