// Preloaded with `node --import`, it makes the Baileys of the program that is started trust a double: for applications that
// run in a process of their own.
//
//   WHATSAPP_DOUBLE_ROOT=<64 hex digits> node --import ./trust.mjs app.js
//
// Invariant: without the variable it does nothing. It looks for `baileys` and `@whiskeysockets/baileys` from the working
// directory, where the program finds them too, and loads those that verify certificates: 7 and later.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { trust } from './certificates.mjs'

const root = process.env.WHATSAPP_DOUBLE_ROOT
if (root) {
  const { resolve } = createRequire(join(process.cwd(), 'program.js'))
  for (const name of ['baileys', '@whiskeysockets/baileys']) {
    let found
    try {
      found = resolve(name)
    } catch {
      continue
    }
    const { version } = JSON.parse(readFileSync(join(dirname(found), '../package.json'), 'utf8'))
    if (Number.parseInt(version, 10) >= 7) trust(await import(pathToFileURL(found).href), Buffer.from(root, 'hex'))
  }
}
