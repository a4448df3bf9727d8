// Who may ask: whoever knows API_TOKEN. Health checks are open, and tell no names.
//
// `Authorization: Bearer <token>` is for programs. Browsers may look (GET) with the token as the password of their own dialog;
// they send it along by themselves, so it opens nothing that changes anything.

import { type CanActivate, type ExecutionContext, Injectable, SetMetadata, UnauthorizedException } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import { config } from '../config.js'

const IS_OPEN = 'isOpen'

/** For routes that everybody may ask. */
export const Open = () => SetMetadata(IS_OPEN, true)

const digest = (text: string) => createHash('sha256').update(text).digest()
const isSame = (a: string, b: string) => timingSafeEqual(digest(a), digest(b))

function tokenOf({ method, headers }: Request): string | null {
  const [scheme, value = ''] = (headers.authorization ?? '').split(' ', 2)
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic' || method !== 'GET') return null
  return Buffer.from(value, 'base64').toString().replace(/^[^:]*:/, '')
}

@Injectable()
export class ApiTokenGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    if (config.apiToken === null) return true
    if (this.reflector.getAllAndOverride<boolean>(IS_OPEN, [context.getHandler(), context.getClass()])) return true
    const http = context.switchToHttp()
    const token = tokenOf(http.getRequest<Request>())
    if (token !== null && isSame(token, config.apiToken)) return true
    http.getResponse<Response>().setHeader('WWW-Authenticate', 'Basic realm="sessions", charset="UTF-8"')
    throw new UnauthorizedException('send the API_TOKEN as `Authorization: Bearer …`')
  }
}
