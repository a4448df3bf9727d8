// Parts that the tests of this folder share: the files of the repository, and a few ways to look at them.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/bootstrap.mjs'

export { root }
export const read = (path) => readFileSync(join(root, path), 'utf8')

/** Every file that is tracked by git, or would be if it were added. */
export const files = () =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter(Boolean)

/** The first group of every match, sorted. */
export const all = (text, pattern) => [...text.matchAll(pattern)].map(([, group]) => group).sort()

/** The text of a Markdown section, up to the next heading of its level or above. */
export function section(markdown, heading) {
  const lines = markdown.split('\n')
  const start = lines.indexOf(heading)
  if (start < 0) throw new Error(`there is no heading "${heading}"`)
  const level = heading.indexOf(' ')
  const end = lines.findIndex((line, i) => i > start && /^#+ /.test(line) && line.indexOf(' ') <= level)
  return lines.slice(start + 1, end < 0 ? undefined : end).join('\n')
}

/** The names in the first column of a section's tables. */
export const firstColumn = (text) => all(text, /^\| `([^`]+)` \|/gm)
