// Many seeded schedules of the simulation, in ranges of seeds, with a report of what came of them.
//
//   npm run simulate -- <schedules> [--first <seed>] [--report <file>]
//
// `npm run simulate -- 1000000` plays a million, over all cores. Each range is a process of its own, and is noted in
// `.cache/simulation/` when it is done: the same command goes on where it was interrupted, and an engine or a simulation that
// changed begins anew. Without `--report` the report goes to the terminal alone.
//
// Invariant: the report counts only ranges that were played to their end, and the exit code is not zero when one failed.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { environment, root } from './bootstrap.mjs'

/** Schedules of one process. */
const RANGE = 1000
const TEST = 'sim::schedules::seeded_schedules_in_rough_weather_keep_every_invariant'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { first: { type: 'string', default: '0' }, report: { type: 'string' } }
})
const [schedules, first] = [positionals[0], values.first].map(Number)
if (!Number.isSafeInteger(schedules) || schedules < 1 || !Number.isSafeInteger(first) || first < 0) {
  console.error('usage: npm run simulate -- <schedules> [--first <seed>] [--report <file>]')
  process.exit(2)
}

/** Runs a command, and answers what it wrote and its exit code. */
const run = (command, args, env = {}) => new Promise((done, failed) => {
  const child = spawn(command, args, { cwd: root, env: { ...environment(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', (text) => (said.out += text))
  child.stderr.on('data', (text) => (said.err += text))
  child.on('error', failed)
  child.on('close', (status) => done({ ...said, status }))
})

/** What is played: every file that goes into the core and its simulation. */
function version() {
  const hash = createHash('sha256')
  const sources = readdirSync(join(root, 'src'), { recursive: true }).map(String).filter((name) => name.endsWith('.rs')).sort()
  for (const name of sources) hash.update(name).update(readFileSync(join(root, 'src', name)))
  return hash.update(readFileSync(join(root, 'Cargo.lock'))).digest('hex').slice(0, 12)
}

/** The program with the tests, built. */
async function program() {
  const built = await run('cargo', ['test', '--no-default-features', '--lib', '--no-run', '--message-format=json'])
  if (built.status !== 0) throw new Error(`the core does not compile:\n${built.err}`)
  const told = built.out.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
  return told.findLast((message) => message.executable)?.executable
}

const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',')

/** The report on the ranges that were played. */
function report(ranges, seconds, of) {
  const sum = (name) => ranges.reduce((sum, range) => sum + range[name], 0)
  const moments = new Map()
  for (const range of ranges) {
    for (const [name, count] of Object.entries(range.moments)) moments.set(name, (moments.get(name) ?? 0) + count)
  }
  const seeds = ranges.map(({ first, schedules }) => [first, first + schedules])
  const joined = seeds.reduce((all, [from, to]) => {
    if (all.at(-1)?.[1] === from) all.at(-1)[1] = to
    else all.push([from, to])
    return all
  }, [])
  const failures = ranges.filter((range) => range.failure)
  return [
    `${grouped(sum('schedules'))} schedules played, of ${grouped(of)} asked for; ${failures.length} failed. ${seconds} seconds of wall clock.`,
    '',
    `- Seeds: ${joined.map(([from, to]) => `${grouped(from)} to ${grouped(to - 1)}`).join(', ')}`,
    `- Sources: \`${version()}\``,
    `- Opens: ${grouped(sum('opens'))}; acknowledgements: ${grouped(sum('promises'))}; writes resolved as stored: ${grouped(sum('kept'))}; sessions sealed anew: ${grouped(sum('complete'))}`,
    '',
    '| times | what happened |',
    '|--:|---|',
    ...[...moments].map(([name, count]) => `| ${grouped(count)} | ${name} |`),
    ''
  ].join('\n')
}

const binary = await program()
const notes = join(root, '.cache', 'simulation', version())
mkdirSync(notes, { recursive: true })
const [began, ranges] = [performance.now(), []]
let [stopped, spent] = [false, 0]
process.on('SIGINT', () => (stopped = true))
for (let at = first; at < first + schedules && !stopped; at += RANGE) {
  const count = Math.min(RANGE, first + schedules - at)
  const file = join(notes, `${at}-${count}.json`)
  if (!existsSync(file)) {
    const since = performance.now()
    const played = await run(binary, ['--exact', TEST, '--nocapture'], { SIM_FIRST: at, SIM_SCHEDULES: count, SIM_REPORT: `${file}.new` })
    if (stopped) break
    if (played.status !== 0) {
      console.error(`seeds ${at} to ${at + count - 1}:\n${played.out}${played.err}`)
      process.exitCode = 1
      ranges.push({ first: at, schedules: 0, opens: 0, promises: 0, kept: 0, complete: 0, moments: {}, failure: true })
      continue
    }
    const told = JSON.parse(readFileSync(`${file}.new`, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...told, seconds: (performance.now() - since) / 1000 }))
  }
  const told = JSON.parse(readFileSync(file, 'utf8'))
  spent += told.seconds
  ranges.push(told)
  const rate = ranges.reduce((sum, range) => sum + range.schedules, 0) / Math.max(spent, 1)
  console.log(`${grouped(at + count - first)} of ${grouped(schedules)}; ${rate.toFixed(1)} per second`)
}
const text = report(ranges, Math.round(spent || (performance.now() - began) / 1000), schedules)
console.log(`\n${text}`)
if (values.report) writeFileSync(resolve(values.report), text)
