// Many seeded schedules of the simulation, in ranges of seeds, with a report of what came of them.
//
//   npm run simulate -- <schedules> [--first <seed>] [--threads <n>] [--report <file>] [--profile <cargo profile>]
//
// `npm run simulate -- 1000000` plays a million, over all cores, from a clone that needs nothing but Rust. Each range is a process
// of its own, and is noted in `.cache/simulation/` when it is done: the same command goes on where it was interrupted, and an
// engine or a simulation that changed begins anew. An interrupt ends it after the range under way. Without `--report` the report
// goes to the terminal alone.
//
// Invariant: the report counts only ranges that were played to their end, and the exit code is not zero when one failed.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { environment, needRust, root } from './bootstrap.mjs'
import { grouped, report } from './simulation-report.mjs'

/** Schedules of one process. */
const RANGE = 1000
const TEST = 'sim::schedules::seeded_schedules_of_every_kind_keep_every_invariant'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    first: { type: 'string', default: '0' },
    threads: { type: 'string' },
    report: { type: 'string' },
    profile: { type: 'string', default: 'simulation' }
  }
})
const [schedules, first, threads] = [positionals[0], values.first, values.threads ?? '1'].map(Number)
if (![schedules, first, threads].every(Number.isSafeInteger) || schedules < 1 || first < 0 || threads < 1) {
  console.error('usage: npm run simulate -- <schedules> [--first <seed>] [--threads <n>] [--report <file>] [--profile <cargo profile>]')
  process.exit(2)
}

/** Runs a command, and answers what it wrote and its exit code. */
const run = (command, args, env = {}) =>
  new Promise((done, failed) => {
    const child = spawn(command, args, { cwd: root, env: { ...environment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { out: '', err: '' }
    child.stdout.on('data', (text) => (said.out += text))
    child.stderr.on('data', (text) => (said.err += text))
    child.on('error', failed)
    child.on('close', (status) => done({ ...said, status }))
  })

/** Digest of every file that goes into the core and its simulation. */
function sources() {
  const hash = createHash('sha256')
  const names = readdirSync(join(root, 'src'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.rs'))
    .sort()
  for (const name of names) hash.update(name).update(readFileSync(join(root, 'src', name)))
  return hash
    .update(readFileSync(join(root, 'Cargo.lock')))
    .digest('hex')
    .slice(0, 12)
}

/** The commit that is played, and whether the core differs from it; undefined where there is no repository. */
async function commit() {
  const git = (...args) => run('git', args).catch(() => ({ status: 1, out: '' }))
  const [head, changes] = [await git('rev-parse', 'HEAD'), await git('status', '--porcelain', '--', 'src', 'Cargo.toml', 'Cargo.lock')]
  if (head.status !== 0) return undefined
  return { id: head.out.trim().slice(0, 12), isChanged: changes.out !== '' }
}

/** The program with the tests, built. */
async function program() {
  await needRust()
  console.log(`the core is compiled in the profile \`${values.profile}\`, where it is not yet`)
  const built = await run('cargo', [
    'test',
    '--no-default-features',
    '--lib',
    '--no-run',
    '--profile',
    values.profile,
    '--message-format=json'
  ])
  if (built.status !== 0) throw new Error(`the core does not compile:\n${built.err}`)
  const told = built.out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  return told.findLast((message) => message.executable)?.executable
}

const what = { sources: sources(), commit: await commit() }
const binary = await program()
const notes = join(root, '.cache', 'simulation', what.sources)
mkdirSync(notes, { recursive: true })

/** Plays a range, and answers what its process noted. */
async function play(at, count, file) {
  const env = { SIM_FIRST: at, SIM_SCHEDULES: count, SIM_REPORT: `${file}.new` }
  if (values.threads !== undefined) env.SIM_THREADS = threads
  const since = performance.now()
  const played = await run(binary, ['--exact', TEST, '--nocapture'], env)
  if (played.status === 0) {
    const told = JSON.parse(readFileSync(`${file}.new`, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...told, seconds: (performance.now() - since) / 1000 }))
  }
  return played
}

const [ranges, failures] = [[], []]
let stopped = false
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => (stopped = true))
for (let at = first; at < first + schedules && !stopped; at += RANGE) {
  const count = Math.min(RANGE, first + schedules - at)
  const file = join(notes, `${at}-${count}.json`)
  const played = existsSync(file) ? { status: 0 } : await play(at, count, file)
  if (played.status !== 0) {
    // An interrupt from a terminal reaches the range under way as well.
    if (stopped) break
    console.error(`seeds ${at} to ${at + count - 1}:\n${played.out}${played.err}`)
    failures.push({ first: at, last: at + count - 1, seed: `${played.out}${played.err}`.match(/schedule with seed (\d+) failed/)?.[1] })
    continue
  }
  ranges.push(JSON.parse(readFileSync(file, 'utf8')))
  const [all, seconds] = ['schedules', 'seconds'].map((name) => ranges.reduce((sum, range) => sum + range[name], 0))
  console.log(`${grouped(all)} of ${grouped(schedules)}; ${(all / Math.max(seconds, 1)).toFixed(1)} per second`)
}
const text = report({ ...what, asked: { schedules, first }, ranges, failures, file: values.report })
console.log(`\n${text}`)
if (values.report) writeFileSync(resolve(values.report), text)
process.exit(failures.length > 0 || ranges.length === 0 ? 1 : 0)
