// SIGKILL of the program, of its browser, or of both, at random moments: the next open is good, here and on another machine.
//
// Invariants guarded (I7, I17, I22): the pairs are whole after each kill, and none that an acknowledged generation has is missing.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { test } from '../../testkit/base/missing.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { eventually, KEY, runSeed, scratch } from '../../testkit/processes/machines.mjs'
import { servePage } from '../../testkit/browser/profile.mjs'
import { sized } from '../support/size.mjs'
import { makeRandom } from '../../testkit/world/wire.mjs'

const PROGRAM = fileURLToPath(new URL('../../testkit/browser/child-profile.mjs', import.meta.url))
const ROUNDS = sized(4, 25)

const killed = (pid) => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

/** Words before a command that give it another host name; null where the system gives none. */
const elsewhere = (name) => {
  const words = ['unshare', '--uts', '--map-root-user', 'sh', '-c', `hostname ${name} && exec "$0" "$@"`]
  return spawnSync(words[0], [...words.slice(1), 'true']).status === 0 ? words : null
}

/** Starts the program; `lines` are what it told so far. */
function start(t, order, before = []) {
  const [command, ...words] = [...before, process.execPath, PROGRAM, JSON.stringify(order)]
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = []
  let wrong = ''
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  child.stderr.on('data', (text) => (wrong += text))
  const ended = once(child, 'exit')
  atEnd(t, () => {
    child.kill('SIGKILL')
    // The browser leads a group: what is left of it would go on writing to a folder that is being removed.
    for (const { pid } of lines) if (pid !== undefined) killed(-pid)
    return ended
  })
  return { child, lines, ended, wrong: () => wrong }
}

test('no_acknowledged_pair_is_missing_after_any_kill', async (t) => {
  const random = makeRandom(runSeed('profile kills'))
  const root = scratch(t)
  mkdirSync(join(root, 'bucket'))
  const url = await servePage(t)
  const options = { store: `file://${join(root, 'bucket')}`, encryptionKeys: [KEY], backupIntervalMs: 3_600_000, takeover: true }
  let [least, opened] = [0, {}]
  for (let round = 0; round < ROUNDS; round++) {
    // Every third life begins on a blank disk.
    const directory = join(root, random.below(3) === 0 ? `blank-${round}` : 'disk')
    const { child, lines, ended, wrong } = start(t, { url, directory, options })
    await eventually('the browser', () => lines.length > 0 || child.exitCode !== null)
    assert.equal(child.exitCode, null, wrong())
    const [{ pid, found, opened: source }] = lines
    opened = { ...opened, [source]: (opened[source] ?? 0) + 1 }
    assert.ok(found.isEqual, `round ${round}: the pairs are whole`)
    assert.ok(found.newest >= least, `round ${round}, ${source}: ${found.newest} of at least ${least}`)
    const many = 2 + random.below(3)
    await eventually('some backups', () => lines.length >= many || child.exitCode !== null)
    assert.equal(child.exitCode, null, wrong())
    await pause(random.below(300))
    const kind = random.below(3)
    if (kind === 0) killed(pid)
    if (kind === 0) await pause(random.below(200))
    child.kill('SIGKILL')
    await ended
    killed(pid)
    least = Math.max(least, ...lines.slice(1).map(({ newest }) => newest))
  }
  t.diagnostic(`${ROUNDS} rounds, opened from ${JSON.stringify(opened)}, ${least} pairs acknowledged`)
})

test(
  'folder_of_a_killed_browser_opens_on_a_host_with_another_name',
  { skip: elsewhere('any') === null && 'the system gives no second host name' },
  async (t) => {
    const root = scratch(t)
    mkdirSync(join(root, 'bucket'))
    const options = { store: `file://${join(root, 'bucket')}`, encryptionKeys: [KEY], backupIntervalMs: 3_600_000, takeover: true }
    const order = { url: await servePage(t), directory: join(root, 'disk'), options }
    let least = 0
    for (const before of [[], elsewhere('another-host'), elsewhere('a-third-one')]) {
      const { child, lines, ended, wrong } = start(t, order, before)
      await eventually('a backup', () => lines.length > 1 || child.exitCode !== null)
      assert.equal(child.exitCode, null, wrong())
      const [{ pid, found }, { newest }] = lines
      assert.ok(found.isEqual && found.newest >= least, `${found.newest} of at least ${least}`)
      least = newest
      child.kill('SIGKILL')
      killed(-pid)
      await ended
    }
  }
)
