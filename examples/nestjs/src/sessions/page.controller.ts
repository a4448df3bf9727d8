// The status page: a few files, nothing from outside, nothing to build.

import { Controller, Get, Header, NotFoundException, Param, StreamableFile } from '@nestjs/common'
import { readFileSync, readdirSync } from 'node:fs'
import { extname } from 'node:path'

const FOLDER = new URL('../../public/', import.meta.url)
const TYPES: Record<string, string> = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' }
const ONLY_ITSELF =
  "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const files = new Map(readdirSync(FOLDER).map((name) => [name, readFileSync(new URL(name, FOLDER))]))

@Controller()
export class PageController {
  @Get()
  @Header('Content-Security-Policy', ONLY_ITSELF)
  @Header('X-Content-Type-Options', 'nosniff')
  @Header('Referrer-Policy', 'no-referrer')
  @Header('Cache-Control', 'no-store')
  index() {
    return fileOf('index.html')
  }

  @Get('page/:name')
  @Header('X-Content-Type-Options', 'nosniff')
  @Header('Cache-Control', 'no-cache')
  file(@Param('name') name: string) {
    return fileOf(name)
  }
}

function fileOf(name: string): StreamableFile {
  const contents = files.get(name)
  if (contents === undefined) throw new NotFoundException('there is no such file')
  return new StreamableFile(contents, { type: `${TYPES[extname(name)]}; charset=utf-8`, length: contents.length })
}
