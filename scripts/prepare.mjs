// Builds the core where npm installs this package from its repository: `npm install <git address>`, `npm install ../clone`.
//
// npm runs it as `prepare`, in a clone that a person works in too: there `npm run setup` builds, and nothing happens here.
//
// Invariant: what npm then packs has the addon in it, or the installation fails and says what is missing.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bootstrap, root } from './bootstrap.mjs'

/** npm prepares a clone of its own for a git address, and tells its children so by this variable. */
const isForGit = process.env._PACOTE_NO_PREPARE_ !== undefined || /[/\\]_cacache[/\\]tmp[/\\]/.test(root)
/** npm installs a folder as a link, and prepares it where it is: then the command was given elsewhere. */
const isLinked =
  process.env.npm_command === 'install' && process.env.INIT_CWD !== undefined && join(process.env.INIT_CWD, '.') !== join(root, '.')

if (isForGit || isLinked) await bootstrap({ packages: !isForGit })
if (isForGit) {
  // The release has the addon in a package of its own, which does not exist for a commit.
  const file = join(root, 'package.json')
  const own = JSON.parse(readFileSync(file, 'utf8'))
  own.files.push(...readdirSync(root).filter((name) => name.endsWith('.node')))
  writeFileSync(file, `${JSON.stringify(own, null, 2)}\n`)
}
