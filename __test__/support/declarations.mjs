// The declarations of the package, as text: `index.d.ts`, which names what is public, and `types/`, which says what it promises.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Path from the root -> text, of every file with declarations of the package itself. */
export function declarationFiles() {
  const topics = readdirSync(join(ROOT, 'types')).sort()
  const paths = ['index.d.ts', ...topics.map((name) => `types/${name}`)]
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]))
}

/** All of them as one text. */
export const declarations = () => Object.values(declarationFiles()).join('\n')
