// The status page: one file, nothing from outside, nothing to build.

import { Controller, Get, Header } from '@nestjs/common'
import { readFileSync } from 'node:fs'

const page = readFileSync(new URL('../../public/index.html', import.meta.url), 'utf8')
const ONLY_ITSELF = "default-src 'none'; connect-src 'self'; img-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

@Controller()
export class PageController {
  @Get()
  @Header('Content-Type', 'text/html; charset=utf-8')
  @Header('Content-Security-Policy', ONLY_ITSELF)
  @Header('X-Content-Type-Options', 'nosniff')
  @Header('Cache-Control', 'no-store')
  index() {
    return page
  }
}
