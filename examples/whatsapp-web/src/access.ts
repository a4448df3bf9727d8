// Access with API_TOKEN, and the answers for errors of the auth state. Health checks and metrics are open, and name nobody.

import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  type ExecutionContext,
  Injectable,
  UnauthorizedException
} from '@nestjs/common'
import { HybridAuthError, type HybridAuthErrorCode } from 'baileys-hybrid-auth'
import type { Request, Response } from 'express'
import { createHash, timingSafeEqual } from 'node:crypto'
import { config } from './config'

const OPEN = ['/health', '/health/r2', '/metrics']

const digest = (text: string) => createHash('sha256').update(text).digest()

@Injectable()
export class TokenGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { path, headers } = context.switchToHttp().getRequest<Request>()
    if (config.apiToken === null || OPEN.includes(path)) return true
    const [, token = ''] = /^Bearer (.+)$/.exec(headers.authorization ?? '') ?? []
    if (timingSafeEqual(digest(token), digest(config.apiToken))) return true
    throw new UnauthorizedException('send the API_TOKEN as `Authorization: Bearer …`')
  }
}

const STATUS: Partial<Record<HybridAuthErrorCode, number>> = {
  INVALID_OPTION: 400,
  NOT_FOUND: 404,
  DELETED: 409,
  ALREADY_OPEN: 409,
  OWNED_ELSEWHERE: 409,
  FENCED: 409,
  CLOSED: 409,
  REMOTE_UNAVAILABLE: 503,
  REMOTE_REFUSED: 503,
  LOCAL_UNAVAILABLE: 503
}

@Catch(HybridAuthError)
export class HybridAuthErrorFilter implements ExceptionFilter<HybridAuthError> {
  catch({ code, message }: HybridAuthError, host: ArgumentsHost) {
    const statusCode = STATUS[code] ?? 500
    host.switchToHttp().getResponse<Response>().status(statusCode).json({ statusCode, code, message })
  }
}
