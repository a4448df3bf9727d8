// Which test files run, and what they need: decided by what they import, so that no list can be forgotten.
//
// Invariant: a file counts as one that needs no addon only if nothing that it imports, starts or names within this repository
// leads to the entry of the package.

import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { root } from './bootstrap.mjs'

const tests = join(root, '__test__')
const SIZE = join(tests, 'support', 'size.mjs')

/** Paths in a source, as they stand between quotes. */
const paths = (source) => [...source.matchAll(/['"`](\.{1,2}\/[^'"`\n$]*)['"`]/g)].map(([, path]) => path)
const isFile = (path) => existsSync(path) && statSync(path).isFile()

/** Files of the repository that a file names, without those that it does not find. */
function named(file) {
  const found = paths(readFileSync(file, 'utf8')).map((path) => resolve(dirname(file), path))
  return found.flatMap((path) => [path, `${path}.js`, join(path, 'index.js')]).filter((path) => isFile(path) && /\.[cm]?js$/.test(path))
}

/** All files that a file leads to, itself among them. */
function reached(file, seen = new Set()) {
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

/** True if a test has two sizes. */
export const hasSizes = (file) => reached(file).has(SIZE)

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
