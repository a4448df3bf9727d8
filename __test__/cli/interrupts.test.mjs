// Ctrl-C while something is under way: nothing new is begun, what was done is said, and no session is left claimed.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { multiFile, plain, run, runJson, start, supabaseSite, terminal } from './command.mjs'

/** More than are worked on at once. */
const MANY = Array.from({ length: 11 }, (_, n) => `tenant-${String(n).padStart(2, '0')}`)

/** A bucket with many sessions, of whose downloads each waits. */
async function held(t) {
  const at = await supabaseSite(t)
  for (const tenant of MANY) await at.tenant(tenant)
  const id = await at.server.control.hold({ at: 'download', path: /data/, bucket: at.bucket.name })
  return { ...at, gathered: (count) => at.server.control.gathered({ id, count }), release: () => at.server.control.release({ id }) }
}

test('verify ends at once on Ctrl-C at the terminal, though the store still owes answers', async (t) => {
  const at = await held(t)
  const child = terminal(t, ['verify'], at)
  await at.gathered(1)
  child.type('\u0003')
  const ended = await child.ended
  assert.equal(ended.code, 130, ended.stdout)
  assert.match(plain(ended.stdout), /error INTERRUPTED: interrupted\. Checked 0 of 11 tenants\.\n$/)
  at.release()
})

test('restore ends what it has begun on a signal, begins nothing new, says what was done, and leaves nothing claimed', async (t) => {
  const at = await held(t)
  const child = start(t, ['restore', '--all', '--json'], at)
  await at.gathered(1)
  child.child.kill('SIGINT')
  await child.printed(/Finishing the current work/)
  at.release()
  const ended = await child.ended
  assert.equal(ended.code, 130, ended.stderr)
  const { ok, error, tenants } = JSON.parse(ended.stdout)
  assert.deepEqual([ok, error.code], [false, 'INTERRUPTED'])
  assert.match(error.advice, /^Restored \d+ of 11 tenants\.$/)
  assert.ok(tenants.length >= 1 && tenants.length < MANY.length && tenants.every(({ ok }) => ok), ended.stdout)
  const verified = await runJson(t, ['verify'], at)
  assert.deepEqual(
    verified.json.tenants.map(({ report }) => report.clean),
    MANY.map(() => true)
  )
  assert.equal((await run(t, ['restore', '--all'], at)).code, 0, 'what is left is done by doing it again')
})

test('the second signal ends it at once', async (t) => {
  const at = await held(t)
  const child = start(t, ['restore', '--all'], at)
  await at.gathered(1)
  child.child.kill('SIGTERM')
  await child.printed(/Finishing the current work/)
  child.child.kill('SIGTERM')
  assert.equal((await child.ended).code, 130)
  at.release()
})

test('migrate ends what it has begun, says how far it came, and goes on when it is run again', async (t) => {
  const at = await supabaseSite(t)
  const tree = join(at.folder, 'tree')
  for (let n = 0; n < 7; n++) await multiFile(join(tree, `tenant-${n}`))
  const id = await at.server.control.hold({ at: 'upload', path: /data/, bucket: at.bucket.name })
  const child = start(t, ['migrate', tree], at)
  await at.server.control.gathered({ id, count: 1 })
  child.child.kill('SIGINT')
  await child.printed(/Finishing the current work/)
  await at.server.control.release({ id })
  const ended = await child.ended
  assert.equal(ended.code, 130, ended.stderr)
  assert.match(ended.stderr, /error INTERRUPTED: interrupted\. Migrated \d of 7 sessions at least\. Run it again to continue\.\n$/)
  const begun = await runJson(t, ['verify'], at)
  assert.ok(begun.json.total >= 1 && begun.json.total < 7, begun.stdout)
  assert.ok(
    begun.json.tenants.every(({ ok, report }) => ok && report.clean),
    'none is left claimed'
  )
  const again = await runJson(t, ['migrate', tree], at)
  assert.equal(again.code, 0, again.stdout)
  assert.equal((await runJson(t, ['verify'], at)).json.total, 7)
})
