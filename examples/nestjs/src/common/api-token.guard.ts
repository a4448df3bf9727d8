// Access with API_TOKEN. Health checks are open, and contain no names.
//
// `Authorization: Bearer <token>` is for programs. Browsers send the token as the password of their own dialog, and from then on
// by themselves, whichever page asks: so with it they may look (GET), and change something from the status page only. Without a
// token this machine alone is answered: under its own name, and no other website in its browser changes anything.

import { type CanActivate, type ExecutionContext, ForbiddenException, Injectable, SetMetadata, UnauthorizedException } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request, Response } from 'express'
import { config } from '../config.js'
import { isLoopbackHost, originOf } from './same-origin.js'

const IS_OPEN = 'isOpen'

/** For routes that everybody may ask. */
export const Open = () => SetMetadata(IS_OPEN, true)

const digest = (text: string) => createHash('sha256').update(text).digest()
const isSame = (a: string, b: string) => timingSafeEqual(digest(a), digest(b))
const isLoopback = isLoopbackHost(config.host.includes(':') ? `[${config.host}]` : config.host)

function tokenOf({ method, headers }: Request): string | null {
  const [scheme, value = ''] = (headers.authorization ?? '').split(' ', 2)
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic' || (method !== 'GET' && originOf(headers) !== 'own')) return null
  return Buffer.from(value, 'base64')
    .toString()
    .replace(/^[^:]*:/, '')
}

function checkWithoutToken({ method, headers }: Request) {
  if (isLoopback && !isLoopbackHost(headers.host)) throw new ForbiddenException('ask for localhost, or set API_TOKEN')
  if (method !== 'GET' && originOf(headers) === 'foreign') throw new ForbiddenException('another website cannot change anything here')
}

@Injectable()
export class ApiTokenGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.getAllAndOverride<boolean>(IS_OPEN, [context.getHandler(), context.getClass()])) return true
    const http = context.switchToHttp()
    const request = http.getRequest<Request>()
    if (config.apiToken === null) {
      checkWithoutToken(request)
      return true
    }
    const token = tokenOf(request)
    if (token !== null && isSame(token, config.apiToken)) return true
    http.getResponse<Response>().setHeader('WWW-Authenticate', 'Basic realm="sessions", charset="UTF-8"')
    throw new UnauthorizedException('send the API_TOKEN as `Authorization: Bearer …`')
  }
}
