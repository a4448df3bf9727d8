// Preloaded with `node --import`, it makes the Baileys of the program that is started trust a double: for applications that
// run in a process of their own.
//
//   WHATSAPP_DOUBLE_ROOT=<64 hex digits> node --import ./trust.mjs app.js
//
// Invariant: without the variable it does nothing. It looks for `baileys` and `@whiskeysockets/baileys` from the working
// directory, where the program finds them too.

import { createRequire } from 'node:module'
import { join } from 'node:path'
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
    trust(await import(pathToFileURL(found).href), Buffer.from(root, 'hex'))
  }
}
