// The example of docs/pruning.md runs, but for where it finds its session; and the numbers there are those of the code.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { KEY, ROOT, scene } from '../../testkit/processes/sessions.mjs'
import { all, read } from './repository.mjs'

const text = read('docs/pruning.md')

test('the example tells what would go, removes it, and leaves the rest', async (t) => {
  const at = scene(t)
  const session = await at.openReplicated('tenant-42')
  Object.assign(session.state.creds, { nextPreKeyId: 2000, firstUnuploadedPreKeyId: 2000 })
  await session.saveCreds()
  const key = { private: Buffer.alloc(32), public: Buffer.alloc(32) }
  await session.state.keys.set({ 'pre-key': { 5: key, 375: key, 376: key, 1999: key } })
  await session.close()
  const [block, ...more] = all(text, /^```js\n([\s\S]*?)^```$/gm)
  assert.deepEqual(more, [])
  const script = block.replace("'baileys-hybrid-auth'", JSON.stringify(pathToFileURL(join(ROOT, 'index.js')).href))
  const file = join(at.root, 'example.mjs')
  writeFileSync(file, `${script}\nconsole.log(done.preKeys.removed)\n`)
  const env = {
    ...process.env,
    WHATSAPP_SESSION_PATH: at.directory,
    SESSION_BACKUP_STORE: at.replicated.store,
    SESSION_ENCRYPTION_KEY: KEY
  }
  const [told, done] = execFileSync(process.execPath, [file], { cwd: ROOT, env, encoding: 'utf8' }).trim().split('\n')
  assert.match(told, /^2 0 [1-9]\d+$/)
  assert.equal(done, '2')
  const again = await at.openReplicated('tenant-42')
  const left = Object.entries(await again.state.keys.get('pre-key', ['5', '375', '376', '1999'])).map(([id, value]) => [id, value !== null])
  assert.deepEqual(left, [
    ['5', false],
    ['375', false],
    ['376', true],
    ['1999', true]
  ])
})

test('the numbers in the document are the defaults', () => {
  const source = read('lib/session/prune-keys.js')
  assert.match(source, /const UPLOAD = 812\b/)
  assert.match(
    source,
    /const DEFAULTS = \{ dryRun: true, preKeyWindow: 2 \* UPLOAD, keepPreKeyIds: \[\], closedSessionsOlderThanDays: 90, closedSessionsKept: 5 \}/
  )
  assert.match(source, /const LEAST_DAYS = 30\b/)
  for (const said of ['1,624 ids', 'last 90 days', 'at least 30', '(812)']) assert.ok(text.includes(said), said)
})
