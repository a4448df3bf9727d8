// The test in docs/testing.md runs as it stands, and the example of docs/bundlers.md for forks with a Baileys in place of one.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { read } from './repository.mjs'

const index = JSON.stringify(pathToFileURL(join(ROOT, 'index.js')).href)
const blocksOf = (file) =>
  [...read(file).matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, block]) => block.replace("'baileys-hybrid-auth'", index))

function run(t, script, env = {}) {
  const folder = temporaryFolder(t, 'document')
  writeFileSync(join(folder, 'example.mjs'), script)
  return execFileSync(process.execPath, [join(folder, 'example.mjs')], { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } })
}

/** Parts of Jest and Vitest as the example uses. */
const RUNNER = `
  import assert from 'node:assert/strict'
  const endings = []
  globalThis.afterAll = (work) => endings.push(work)
  globalThis.expect = (value) => ({ toBe: (expected) => assert.equal(value, expected) })
  globalThis.test = async (name, work) => {
    await work()
    for (const ending of endings) await ending()
    console.log('passed: ' + name)
  }
`

test('the test of the document passes', (t) => {
  const [block] = blocksOf('docs/testing.md')
  assert.equal(run(t, `${RUNNER}\n${block}`), 'passed: a session is there again after it was closed\n')
})

test('the example for forks opens a session with the Baileys that it imports', (t) => {
  const fork = blocksOf('docs/bundlers.md').find((block) => block.includes("import('your-fork')"))
  const script = fork.replace("'your-fork'", JSON.stringify(import.meta.resolve('baileys-v6')))
  assert.notEqual(script, fork)
  // Where a number is linked; the example is of a service.
  const linking = script.replace("onMissing: 'error'", "onMissing: 'create'")
  assert.notEqual(linking, script)
  assert.equal(
    run(t, `${linking}\nawait saveCreds()\nconsole.log(state.creds.noiseKey.public.length)`, { WHATSAPP_SESSION_PATH: 'sessions' }),
    '32\n'
  )
})

test('the script for a store passes on one that is well, and fails on one that is not there', (t) => {
  const [, block, ...more] = blocksOf('docs/testing.md')
  assert.deepEqual(more, [])
  const bucket = temporaryFolder(t, 'bucket')
  const on = (store) => run(t, block.replace('process.argv.slice(2)', JSON.stringify([store])))
  const said = on(pathToFileURL(bucket).href)
  const steps = [...block.matchAll(/^done\('(.*)'\)$/gm)].map(([, step]) => `ok  ${step}\n`)
  assert.equal(steps.length, 6)
  assert.equal(said, steps.join(''))
  assert.throws(() => on(pathToFileURL(join(bucket, 'missing')).href), /does not exist|REMOTE|INVALID_OPTION/)
})
