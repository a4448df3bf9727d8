// Errors of the auth state as answers: a status that says who has to act, the stable code, and the message. Messages hold no
// secret and no contact.

import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common'
import { HybridAuthError, type HybridAuthErrorCode } from 'baileys-hybrid-auth'
import type { Response } from 'express'

const STATUS: Partial<Record<HybridAuthErrorCode, number>> = {
  INVALID_OPTION: 400,
  NOT_FOUND: 404,
  DELETED: 409,
  ALREADY_OPEN: 409,
  OWNED_ELSEWHERE: 409,
  FENCED: 409,
  CLOSED: 409,
  LEASE_LOST: 503,
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
