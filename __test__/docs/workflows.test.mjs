// Checks that run before a change is taken and before anything is published.
//
// Invariants: nothing is published that CI has not passed; a job is given the time that its own limits add up to; what a workflow
// runs is named by version or commit, so that it is the same tomorrow.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { files, read, root } from './repository.mjs'

const WORKFLOWS = files().filter((file) => /^\.github\/workflows\/.*\.yml$/.test(file))
const workflow = (name) => parse(read(`.github/workflows/${name}.yml`))
/** Steps of all jobs of a workflow. */
const stepsOf = ({ jobs }) => Object.values(jobs).flatMap(({ steps = [] }) => steps)

test('nothing is published before everything of ci.yml has passed on the same tag', () => {
  const { jobs } = workflow('release')
  const publishing = Object.entries(jobs).filter(([, { steps = [] }]) => steps.some(({ run = '' }) => /npm publish|gh release/.test(run)))
  assert.deepEqual(
    publishing.map(([name, { needs }]) => [name, needs]),
    [['publish', 'ci']]
  )
  assert.equal(jobs.ci.uses, './.github/workflows/ci.yml')
  const ci = workflow('ci')
  assert.ok('workflow_call' in ci.on)
  assert.ok(Object.values(ci.jobs).some(({ uses }) => uses === './.github/workflows/build.yml'))
  assert.ok(stepsOf(ci).some(({ run }) => run === 'bash .ci/run'))
  assert.ok(stepsOf(ci).some(({ run }) => run === 'cargo deny check'))
  for (const job of [...Object.values(ci.jobs), jobs.ci, jobs.publish]) assert.ok(!('if' in job) && !('continue-on-error' in job))
})

test('the job that runs everything has the time that its limits add up to', () => {
  const script = read('.ci/run')
  const limits = [
    ...[...script.matchAll(/^ *suite ['"].*?['"] (\d+) /gm)].flatMap(([line, minutes]) =>
      // The suites in a loop run once for each of its entries.
      line.startsWith('  ') ? [Number(minutes), Number(minutes)] : [Number(minutes)]
    ),
    ...[...script.matchAll(/^ +limited (\d+) /gm)].map(([, minutes]) => Number(minutes))
  ]
  assert.equal(limits.length, 8)
  const total = limits.reduce((sum, minutes) => sum + minutes, 0)
  const { run } = workflow('ci').jobs
  assert.ok(total + 5 <= run['timeout-minutes'], `${total} minutes`)
  assert.ok(run['timeout-minutes'] <= 360, 'the most that a hosted runner gives')
  for (const file of WORKFLOWS)
    for (const [name, job] of Object.entries(parse(read(file)).jobs))
      if (!job.uses) assert.ok(job['timeout-minutes'] > 0, `${file}: ${name} ends by itself`)
})

test('the tests of CI run as root, who may install the programs that they need', () => {
  const { container } = workflow('ci').jobs.run
  assert.match(container.image, /-bookworm$/)
  assert.doesNotMatch(container.options, /--user/)
})

test('actions are named by commit with the version beside it, programs and toolchains by version', () => {
  assert.ok(WORKFLOWS.length >= 4)
  for (const file of WORKFLOWS) {
    const used = read(file).match(/\buses: .*/g) ?? []
    assert.deepEqual(
      used.filter((line) => !/^uses: (\.\/\S+|\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/.test(line)),
      [],
      file
    )
    for (const { run = '' } of stepsOf(parse(read(file)))) {
      for (const [line] of run.matchAll(/cargo install.*/g)) assert.match(line, /@\d|--version \d/)
      for (const [line] of run.matchAll(/npx --yes.*/g)) assert.match(line, /\w@\d/)
    }
  }
  const build = workflow('build')
  assert.match(build.env.RUSTUP_TOOLCHAIN, /^\d+\.\d+\.\d+$/)
  const zig = stepsOf(build).find(({ uses = '' }) => uses.startsWith('mlugg/setup-zig'))
  assert.match(zig.with.version, /^\d+\.\d+\.\d+$/)
  const [, image] = workflow('ci').jobs.run.container.image.match(/^rust:(.+)-bookworm$/)
  assert.ok(build.env.RUSTUP_TOOLCHAIN.startsWith(`${image}.`), 'what is tested is compiled as what is published')
})

test('the addon of every target is built, and the package tried with it', () => {
  const { targets } = JSON.parse(read('package.json')).napi
  const { addon, packed, 'packed-musl': musl } = workflow('build').jobs
  assert.deepEqual(addon.strategy.matrix.include.map(({ target }) => target).sort(), [...targets].sort())
  const tried = [packed, musl].flatMap(({ strategy }) => strategy.matrix.platform.map(({ target }) => target))
  assert.deepEqual(tried.sort(), [...targets].sort())
  for (const { strategy } of [packed, musl]) {
    const runtimes = strategy.matrix.runtime.map(({ name }) => name)
    for (const name of ['Node 20', 'Node 22', 'Node 24', 'Bun']) assert.ok(runtimes.includes(name), name)
  }
})

test('the pins are looked after', () => {
  assert.ok(existsSync(join(root, '.github/dependabot.yml')))
  const { updates } = parse(read('.github/dependabot.yml'))
  assert.deepEqual(updates.map((update) => update['package-ecosystem']).sort(), ['cargo', 'github-actions', 'npm'])
})
