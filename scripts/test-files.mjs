// Test files, and what they need: decided by what they import, so that no list can be forgotten.
//
//   node scripts/test-files.mjs [filter]      the files, each with its tags
//
// Invariant: a file counts as one that needs no addon only if nothing that it imports, starts or names within this repository
// leads to the entry of the package; and as one that needs no server only if nothing of that starts or installs another program.

import { existsSync, readFileSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './bootstrap.mjs'

const tests = join(root, '__test__')
const SIZE = join(tests, 'support', 'size.mjs')

/** Paths in a source, as they stand between quotes; a type that a doc comment names is loaded by nobody. */
const paths = (source) =>
  [...source.replace(/^\s*(?:\/\*\*|\*).*$/gm, '').matchAll(/['"`](\.{1,2}\/[^'"`\n$]*)['"`]/g)].map(([, path]) => path)
const isFile = (path) => existsSync(path) && statSync(path).isFile()

/** Files that each file names: they are asked for many times, and do not change meanwhile. */
const remembered = new Map()

/** Files of the repository that a file names, without those that it does not find. */
function named(file) {
  if (!remembered.has(file)) {
    const found = paths(readFileSync(file, 'utf8')).map((path) => resolve(dirname(file), path))
    const files = found.flatMap((path) => [path, `${path}.js`, join(path, 'index.js')])
    remembered.set(
      file,
      files.filter((path) => /\.[cm]?js$/.test(path) && isFile(path))
    )
  }
  return remembered.get(file)
}

/** All files that a file leads to, itself among them. */
export function reached(file, seen = new Set()) {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const other of named(file)) reached(other, seen)
  return seen
}

/** Words that lead to the addon in a file of tests or of the testkit: the entry by its name, the folder of the package, a build. */
const LEADS = /index\.js|binding\.js|\bROOT\b|\bcargo\b|\bpack\b/

/** True if a test cannot run before the core is built. */
export function needsAddon(file) {
  return [...reached(file)].some((other) => {
    const path = relative(root, other).split(sep).join('/')
    if (/^(__test__|testkit)\//.test(path)) return LEADS.test(readFileSync(other, 'utf8'))
    return path === 'index.js' || path === 'binding.js' || path === 'lib/native.js' || path.startsWith('cli/')
  })
}

/** Parts of the testkit that start a program which is not Node, or install one: a server, a database, a browser, a shell. */
const PROGRAMS = /^testkit\/(install\/|base\/server-process\.mjs$)/
/** A kind of store that is only known when the test runs. */
const ANY_STORE = /testkit\/stores\/\$\{/

/** True if a test needs a program that does not come with `npm ci`. */
export function needsServer(file) {
  return [...reached(file)].some((other) => {
    const path = relative(root, other).split(sep).join('/')
    return PROGRAMS.test(path) || (path.startsWith('__test__/') && ANY_STORE.test(readFileSync(other, 'utf8')))
  })
}

/** True if a test has two sizes. */
export const hasSizes = (file) => reached(file).has(SIZE)

/** Tags of test files, and what makes a file have them. */
export const TAGS = { addon: needsAddon, server: needsServer, slow: hasSizes }

/** The tags of a file. */
export const tagsOf = (file) =>
  Object.entries(TAGS)
    .filter(([, has]) => has(file))
    .map(([tag]) => tag)

/**
 * True for a file whose tests count requests, or keep both cores busy by themselves: two of them run at a time. Of the others, which
 * mostly wait for a lease or a process, four do.
 */
export const isHeavy = (file) => /[\\/]__test__[\\/](network|example|crash|profile)[\\/]/.test(file)

/** True for the file that takes minutes longer than any other: the contract, over one server after the other. */
export const isLongest = (file) => /[\\/]stores[\\/]contract\.test\.mjs$/.test(file)

/** All test files whose path holds `filter`, sorted. */
export function testFiles(filter = '') {
  const names = readdirSync(tests, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.test.mjs'))
  return names
    .map((name) => join(tests, name))
    .filter((file) => relative(root, file).includes(filter))
    .sort()
}

/** The engine suite: ownership, handover, restore, tombstones and tampering, which run once for each kind of store in TEST_STORE. */
export const engineFiles = () => testFiles(join('__test__', 'engine') + sep)

/** True if a Rust test, or a module of the core, has a name that holds `filter`. */
export function isOfRust(filter) {
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.rs'))
  return sources.some((name) => {
    const module = name.replace(/(\/mod)?\.rs$/, '').replaceAll(/[/\\]/g, '::')
    const source = readFileSync(join(root, 'src', name), 'utf8')
    return (
      `${module}::`.includes(filter) ||
      [...source.matchAll(/#\[test\]\s+fn (\w+)/g)].some(([, test]) => `${module}::${test}`.includes(filter))
    )
  })
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  for (const file of testFiles(process.argv[2])) console.log([relative(root, file), ...tagsOf(file)].join(' '))
