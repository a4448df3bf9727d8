// Mutation testing of the core: takes out one guard, statement or answer after another, and looks whether a Rust test fails.
//
//   npm run mutate -- [<path below src> ...] [--jobs <n>] [--report <file>]
//
// All mutants are compiled into one program, in a copy of the tree in `.cache/mutants/`; a run of the tests chooses one of them. What
// came of each is noted there: the same command goes on where it was interrupted. A mutant meets only the tests that reach its place,
// which a first run of each test notes. One that was killed stays so while its file is the same and the test that killed it is there;
// one that survived is tried again when anything changed. Of survivors the report gives the reason that `scripts/mutants.json` has.
//
// Invariant: a mutant is killed only by a test that failed twice, or that did not end, where the same test passes without a mutant.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { environment, needRust, root } from './bootstrap.mjs'
import { moduleOf, mutate } from './mutants.mjs'

const MODULES = ['ownership', 'replication', 'journal', 'wal', 'session', 'registry']
/** Seconds that tests take together when they are run in one process; what is quick goes first, as most mutants do not get far. */
const STEPS = [0.05, 1, Infinity]
/** Seconds that a process may take at the least, how many times what its tests take without a mutant, and its memory in KiB. */
const [LEAST, TIMES, MEMORY] = [20, 8, 8 << 20]
/** Sizes of what has one: a thousand mutants meet it. */
const ENV = { SIM_SCHEDULES: '150', FUZZ_ROUNDS: '200', INTERLEAVINGS: '10', RUST_BACKTRACE: '0' }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { jobs: { type: 'string', default: '1' }, report: { type: 'string' } }
})
const jobs = Number(values.jobs)
if (!Number.isSafeInteger(jobs) || jobs < 1) {
  console.error('usage: npm run mutate -- [<path below src> ...] [--jobs <n>] [--report <file>]')
  process.exit(2)
}
const { reasons, uncompiled } = JSON.parse(readFileSync(join(root, 'scripts', 'mutants.json'), 'utf8'))
const wanted = positionals.length > 0 ? positionals : MODULES

const place = join(root, '.cache', 'mutants')
const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16)
const tree = join(place, 'tree')

/** Files below a folder, in order. */
const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort()
const isAmong = (paths, name) => paths.some((path) => name === path || name === `${path}.rs` || name.startsWith(`${path}/`))
const isMutated = (name) => !/(^|\/)(tests?|threads|interleaved)[/.]/.test(name) && isAmong(MODULES, name)

/** Writes a file of the copy, unless it is there already: what is written is compiled again. */
function put(name, bytes) {
  const file = join(tree, name)
  if (existsSync(file) && readFileSync(file).equals(bytes)) return
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, bytes)
}

/** Makes the copy in which all mutants are, and gives them. */
function plant() {
  if (existsSync(join(tree, 'src'))) {
    for (const name of filesBelow(join(tree, 'src')))
      if (name !== 'mutation.rs' && !existsSync(join(root, 'src', name))) rmSync(join(tree, 'src', name))
  }
  for (const folder of ['fuzz/corpus', '__test__/fixtures']) {
    if (existsSync(join(root, folder))) cpSync(join(root, folder), join(tree, folder), { recursive: true })
  }
  for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'clippy.toml']) put(name, readFileSync(join(root, name)))
  const all = []
  for (const name of filesBelow(join(root, 'src'))) {
    const source = readFileSync(join(root, 'src', name))
    if (!name.endsWith('.rs') || !isMutated(name)) {
      put(join('src', name), name === 'lib.rs' ? Buffer.from(`${source}\n#[allow(warnings)]\nmod mutation;\n`) : source)
      continue
    }
    const leaves = (mutant) => uncompiled.some((other) => other.file === name && mutant.text.includes(other.text))
    const { text, mutants } = mutate(String(source), all.length, leaves)
    put(join('src', name), Buffer.from(text))
    all.push(...mutants.map((mutant) => ({ file: name, ...mutant })))
  }
  put(join('src', 'mutation.rs'), Buffer.from(moduleOf(all.length)))
  return all
}

/**
 * Runs a command to its end, or until `ends` says so of what it wrote.
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: object, limit?: number, ends?: RegExp }} [how] `limit` in seconds
 * @returns {Promise<{ out: string, status: number | null, isLate: boolean }>}
 */
function run(command, args, { env = {}, limit, ends } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd: tree, env: { ...environment(), ...ENV, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, isLate] = ['', false]
    const timer =
      limit &&
      setTimeout(() => {
        isLate = true
        child.kill('SIGKILL')
      }, limit * 1000)
    const heard = (text) => {
      out += text
      if (ends?.test(out)) child.kill('SIGKILL')
    }
    child.stdout.on('data', heard)
    child.stderr.on('data', heard)
    child.on('error', failed)
    child.on('close', (status) => {
      clearTimeout(timer)
      done({ out, status, isLate })
    })
  })
}

async function build() {
  await needRust()
  const built = await run(
    'cargo',
    ['test', '--no-default-features', '--lib', '--no-run', '--profile', 'simulation', '--message-format=json'],
    {
      env: { CARGO_TARGET_DIR: join(place, 'target'), RUSTFLAGS: '--cap-lints allow' }
    }
  )
  const told = built.out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  if (built.status !== 0) {
    const errors = told.filter((message) => message.message?.level === 'error').map((message) => message.message.rendered)
    throw new Error(`the mutants do not compile; name them in scripts/mutants.json, "uncompiled":\n${errors.join('\n')}`)
  }
  return told.findLast((message) => message.executable)?.executable
}

/**
 * Tests of the program, the quickest first, with the seconds that each takes and the mutants that it reaches.
 * @returns {Promise<{ name: string, seconds: number, reached: Set<number> }[]>}
 */
async function reach(program) {
  const note = join(place, `reach-${whole}.jsonl`)
  const known = existsSync(note)
    ? readFileSync(note, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : []
  const { out } = await run(program, ['--list', '--format', 'terse'])
  const left = [...out.matchAll(/^(.+): test$/gm)].map(([, name]) => name).filter((name) => known.every((test) => test.name !== name))
  await inParallel(left, async (name, worker) => {
    const file = join(place, `reached-${worker}`)
    writeFileSync(file, '')
    const since = performance.now()
    const { status } = await run(program, [name, '--exact'], { env: { MUTANTS_REACHED: file } })
    if (status !== 0) throw new Error(`without a mutant \`${name}\` fails already`)
    const reached = readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number)
    known.push({ name, seconds: (performance.now() - since) / 1000, reached })
    appendFileSync(note, `${JSON.stringify(known.at(-1))}\n`)
  })
  return known.map((test) => ({ ...test, reached: new Set(test.reached) })).sort((a, b) => a.seconds - b.seconds)
}

/** Does work for each of a list, in as many turns at a time as there are jobs. */
async function inParallel(list, work) {
  let at = 0
  const turns = Array.from({ length: jobs }, async (_, worker) => {
    while (at < list.length) await work(list[at++], worker)
  })
  await Promise.all(turns)
}

/** The tests that a process runs, and what comes of it under a mutant. */
async function meet(program, mutant, tests) {
  const limit = Math.max(LEAST, TIMES * tests.reduce((sum, { seconds }) => sum + seconds, 0))
  const names = tests.map(({ name }) => name)
  const { out, status, isLate } = await run(
    'sh',
    ['-c', `ulimit -v ${MEMORY}; exec "$0" "$@"`, program, '--exact', ...names, '--test-threads', '1'],
    { env: { MUTANT: mutant }, limit, ends: /^test .* FAILED$/m }
  )
  const failed = /^test (.*) \.\.\. FAILED$/m.exec(out)?.[1]
  return { failed, ends: !isLate && (status === 0 || failed !== undefined), isLate }
}

/** The test that kills a mutant, or undefined. */
async function killer(program, mutant, all) {
  let left = all
  for (const seconds of STEPS) {
    let now = left.filter((test) => test.seconds <= seconds)
    left = left.filter((test) => test.seconds > seconds)
    while (now.length > 0) {
      const { failed, ends, isLate } = await meet(program, mutant, now)
      if (!ends) return isLate ? 'a test does not end' : 'the tests end'
      if (failed === undefined) break
      const test = now.find(({ name }) => name === failed)
      if (!test || (await meet(program, mutant, [test])).failed) return failed
      now = now.filter((other) => other !== test)
    }
  }
  return undefined
}

const mutants = plant()
console.log(`${mutants.length} places, ${mutants.reduce((sum, mutant) => sum + mutant.values.length, 0)} mutants; they are compiled now`)
const sources = filesBelow(join(root, 'src')).map((name) => ({ name, text: readFileSync(join(root, 'src', name), 'utf8') }))
const whole = digest(JSON.stringify(sources))
const texts = new Map(sources.map(({ name, text }) => [name, text]))
const tests = new Set(sources.flatMap(({ text }) => [...text.matchAll(/\bfn (\w+)\(/g)].map(([, name]) => name)))

/** The file in which the outcome of a mutant is noted. */
function noteOf({ file, id, value }) {
  const first = mutants.find((mutant) => mutant.file === file).id
  return join(place, 'notes', digest(texts.get(file) + moduleOf(0)), `${id - first}-${value}.json`)
}

/** Outcome of a mutant, if it still holds. */
function noted(mutant) {
  if (!existsSync(noteOf(mutant))) return undefined
  const { killedBy, isReached, sources } = JSON.parse(readFileSync(noteOf(mutant), 'utf8'))
  const holds = killedBy === undefined ? sources === whole : !killedBy.includes('::') || tests.has(killedBy.split('::').at(-1))
  return holds ? { killedBy, isReached } : undefined
}

const program = await build()
const all = await reach(program)
console.log(`${all.length} tests, ${all.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(0)} seconds`)

const queue = mutants.filter(({ file }) => isAmong(wanted, file)).flatMap((mutant) => mutant.values.map((value) => ({ ...mutant, value })))
const outcomes = []
await inParallel(queue, async (mutant) => {
  let outcome = noted(mutant)
  if (outcome === undefined) {
    const tests = all.filter(({ reached }) => reached.has(mutant.id))
    outcome = { killedBy: await killer(program, `${mutant.id}=${mutant.value}`, tests), isReached: tests.length > 0 }
    mkdirSync(dirname(noteOf(mutant)), { recursive: true })
    writeFileSync(noteOf(mutant), JSON.stringify({ ...outcome, sources: whole }))
    if (!outcome.killedBy) {
      const place = `src/${mutant.file}:${mutant.line}`
      console.log(
        `survives: ${place} ${mutant.kind} \`${mutant.text}\` is ${mutant.value}${outcome.isReached ? '' : ', reached by no test'}`
      )
    }
  }
  outcomes.push({ ...mutant, ...outcome })
  if (outcomes.length % 50 === 0) console.log(`${outcomes.length} of ${queue.length}`)
})

const survivors = outcomes.filter((mutant) => !mutant.killedBy).sort((a, b) => a.id - b.id)
const reasonOf = (mutant) =>
  reasons.find(
    ({ file, text, value }) => mutant.file === file && mutant.text.includes(text) && (value === undefined || String(value) === mutant.value)
  )?.why
const cell = (text) => text.replaceAll('|', '\\|')
const report = [
  '# Mutants of the core',
  '',
  'Written by `npm run mutate`, which takes out one guard, statement or answer at a time and runs the Rust tests; the JavaScript tests do not run.',
  '',
  `${queue.length} mutants in \`${wanted.join('`, `')}\`: ${queue.length - survivors.length} killed, ${survivors.length} survived.`,
  '',
  '| survivor | is | reason |',
  '|---|---|---|',
  ...survivors.map(
    (mutant) =>
      `| \`${mutant.file}\`: \`${cell(mutant.text)}\` | ${mutant.kind === 'statement' ? 'left out' : mutant.value} | ${reasonOf(mutant) ?? (mutant.isReached ? '**none**' : '**no test reaches it**')} |`
  )
].join('\n')
if (values.report) writeFileSync(resolve(values.report), `${report}\n`)
else console.log(report)
process.exitCode = survivors.some((mutant) => !reasonOf(mutant)) ? 1 : 0
