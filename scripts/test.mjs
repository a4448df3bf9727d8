// The tests with one command, from a clean clone: Rust, then Node, then the engine once more over each kind of store, then the
// smoke run on the packed surface.
//
//   npm test [-- filter]           every kind of check; enumerations at a size that still fails when their guard is removed
//   npm run test:all [-- filter]   the exhaustive sizes; whatever has one size only ran in `npm test`
//
// `--without TAG` leaves the Node tests out that have a tag, and names them at the end: `addon` (needs the core built), `server` (needs a
// program that does not come with the development packages: a server, a database, a browser), `slow` (has two sizes).
//
// With SIZED=later, `npm test` leaves what has two sizes to `npm run test:all`: CI runs both, and each check once.
//
// A filter keeps the Rust tests, the Node test files and the engine runs (`Engine over gcs`) whose name holds it; nothing is built
// that they do not need.
//
// Invariant: the last line is `N passed, N failed` over everything that ran, and the exit code is not zero when anything
// failed, could not be started, or nothing ran at all.

import { spawn } from 'node:child_process'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { inspect, parseArgs } from 'node:util'
import { isExcused, reasonOf } from '../testkit/base/missing.mjs'
import { ENGINES, startEngine } from '../testkit/stores/engines.mjs'
import { bootstrap, environment, root } from './bootstrap.mjs'
import { engineFiles, hasSizes, isHeavy, isLongest, isOfRust, needsAddon, TAGS, tagsOf, testFiles } from './test-files.mjs'

/** Exchanges between processes, which a run that is asked for by name has too. */
const ROLLING_DEPLOY = join(root, '__test__/network/rolling-deploy.test.mjs')

const {
  values: { all: isAll, without: tags },
  positionals: [filter]
} = parseArgs({
  options: { all: { type: 'boolean', default: false }, without: { type: 'string', multiple: true, default: [] } },
  allowPositionals: true
})
const without = tags.flatMap((some) => some.split(','))
const unknown = without.find((tag) => !(tag in TAGS))
if (unknown !== undefined) {
  console.error(`There is no tag "${unknown}": use ${Object.keys(TAGS).join(', ')}.`)
  process.exit(1)
}
const isLater = process.env.SIZED === 'later'
/** Rounds of what is drawn at random, where the exhaustive sizes are not asked for. */
const FEW = { SIM_SCHEDULES: '400', FUZZ_ROUNDS: '10000' }
/** Rust tests that have two sizes. */
const SIZED = ['sim::schedules', 'fuzz::']
if (isAll) process.env.TEST_SIZE = 'all'

const total = { passed: 0, failed: 0 }
/** Failures and their reasons, for the end: the rest is thousands of lines. */
const failures = []
/** Names of the tests that said that they cannot run here. */
const skipped = []
/** Names of the files and runs that are left out by their tags. */
const leftOut = []

const heading = (text) => console.log(`\n--- ${text}`)
const add = (name, passed, failed) => {
  total.passed += passed
  total.failed += failed
  console.log(`${name}: ${passed} passed, ${failed} failed`)
}

/** Runs a command with its output shown, and answers what it printed and its exit code; `env` is for what the environment does not say. */
function shown(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...env, ...environment() }, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (text) => {
      said += text
      process.stdout.write(text)
    })
    child.on('error', (error) => resolve({ said: error.message, status: 1 }))
    child.on('close', (status) => resolve({ said, status: status ?? 1 }))
  })
}

const sum = (said, pattern) => [...said.matchAll(pattern)].reduce((sum, [, n]) => sum + Number(n), 0)

async function rustTests() {
  if (filter && !isOfRust(filter)) return
  heading('Rust: the core without Node, the simulation included')
  const names = filter ? [filter] : isAll ? SIZED : isLater ? SIZED.flatMap((name) => ['--skip', name]) : []
  const { said, status } = await shown('cargo', ['test', '--no-default-features', '--', ...names], isAll || filter ? {} : FEW)
  const passed = sum(said, /^test result: .* (\d+) passed/gm)
  const failed = sum(said, /^test result: .* (\d+) failed/gm)
  // A core that does not compile, or a test that takes the process with it, leaves no count.
  failures.push(...(said.match(/^failures:\n[^]*?(?=^failures:$)/gm) ?? []).map((told) => `Rust ${told}`))
  add('Rust', passed, status === 0 ? failed : Math.max(failed, 1))
}

/** Runs test files, so many at a time, and counts what came of them. */
async function runFiles(name, files, concurrency) {
  let passed = 0
  let failed = 0
  /** @param {any} event */
  const counts = ({ details, skip, todo }) => details?.type !== 'suite' && skip === undefined && todo === undefined
  // A file that hangs fails after 40 minutes: the longest one takes more than three on a machine that has nothing else to do, and
  // ten times that on one that has.
  const events = run({ files, concurrency, timeout: 40 * 60_000 })
  events.on('test:pass', (test) => {
    if (counts(test)) passed++
    else if (test.skip !== undefined) skipped.push(test.name + (typeof test.skip === 'string' ? ` (${test.skip})` : ''))
  })
  events.on('test:fail', (test) => {
    if (!counts(test)) return
    failed++
    failures.push(`${name}: ${test.name}\n${inspect(test.details.error.cause ?? test.details.error)}`)
  })
  const report = events.compose(new spec())
  report.pipe(process.stdout, { end: false })
  await new Promise((resolve, reject) => report.on('end', resolve).on('error', reject))
  return { passed, failed }
}

async function nodeTests(name, files) {
  if (files.length === 0) return
  heading(`${name}: ${files.length} files, Node ${process.version}`)
  // The longest one begins first: at the end it would have the machine to itself.
  const sorted = [...files.filter(isLongest), ...files.filter((file) => !isLongest(file))]
  /** @type {[number, string[]][]} */
  const groups = [
    [4, sorted.filter((file) => !isHeavy(file))],
    [2, sorted.filter(isHeavy)]
  ]
  let [passed, failed] = [0, 0]
  for (const [concurrency, some] of groups.filter(([, some]) => some.length > 0)) {
    const came = await runFiles(name, some, concurrency)
    passed += came.passed
    failed += came.failed
  }
  add(name, passed, failed)
}

/** True for a file of which this run has the turn. */
const isDue = (file) => filter || (isAll ? hasSizes(file) : !isLater || !hasSizes(file))

/** True unless the tags say otherwise; `name` is then told. */
function isWanted(tags, name) {
  const isOut = tags.some((tag) => without.includes(tag))
  if (isOut) leftOut.push(name)
  return !isOut
}

/** Runs of the engine: one of them in `npm test`; all in `npm run test:all`, that one with what has two sizes. */
const engines = ENGINES.filter(({ name, isByName }) =>
  filter ? `Engine over ${name}`.includes(filter) : !isByName && (isAll || name === ENGINES[0].name)
).filter(({ name }) => isWanted(['addon', 'server'], `Engine over ${name}`))

/** The engine over other stores than a directory: real servers, and doubles of services. */
async function engineTests() {
  for (const engine of engines) {
    const server = await startEngine(engine).catch((error) => {
      if (!isExcused(error)) throw error
      skipped.push(`Engine over ${engine.name} (${reasonOf(error)})`)
      return null
    })
    if (server === null) continue
    Object.assign(process.env, server.environment)
    const size = process.env.TEST_SIZE
    if (engine.isOnce) delete process.env.TEST_SIZE
    try {
      const files = engineFiles().filter((file) => engine.name !== ENGINES[0].name || isDue(file))
      await nodeTests(`Engine over ${engine.name}`, engine.isByName ? [...files, ROLLING_DEPLOY] : files)
    } finally {
      for (const name of Object.keys(server.environment)) delete process.env[name]
      if (size !== undefined) process.env.TEST_SIZE = size
      await server.stop()
    }
  }
}

async function smoke() {
  if (!hasSmoke) return
  heading('Smoke: the public surface, from ESM and from CommonJS')
  const { said, status } = await shown(process.execPath, [join(root, '__test__/smoke/smoke.mjs')])
  const [, passed, failed] = said.match(/^(\d+) passed, (\d+) failed$/m) ?? [null, '0', '1']
  add('Smoke', Number(passed), status === 0 ? Number(failed) : Math.max(Number(failed), 1))
}

const files = testFiles(filter)
  .filter(isDue)
  .filter((file) => isWanted(tagsOf(file), relative(root, file)))
const hasSmoke = (filter ? 'smoke'.includes(filter) : !isAll) && isWanted(['addon'], 'Smoke')
await bootstrap({ addon: hasSmoke || engines.length > 0 || files.some(needsAddon) })
try {
  await rustTests()
  await nodeTests('Node', files)
  await engineTests()
  await smoke()
} catch (error) {
  console.error(error)
  total.failed += 1
}
if (failures.length > 0) console.log(`\n--- What failed\n\n${failures.join('\n\n')}`)
if (skipped.length > 0) console.log(`\n${skipped.length} skipped: ${[...new Set(skipped)].join(', ')}`)
if (leftOut.length > 0) console.log(`\n${leftOut.length} left out by --without ${without.join(', ')}: ${leftOut.join(', ')}`)
if (total.passed + total.failed + leftOut.length === 0) console.error(`\nNo test has a name that holds "${filter}".`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
console.log(`\n${total.passed} passed, ${total.failed} failed`)
