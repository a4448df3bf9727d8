// The README's JavaScript runs as it stands, but for where it keeps its files.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { all, read, root, section } from './repository.mjs'

const blocks = [...section(read('README.md'), '## Ten lines').matchAll(/^```(?:js|ts)\n([\s\S]*?)^```$/gm)].map(([, block]) => block)

/** Exactly one place is what the example says it is, or the example has changed and this test has to follow. */
function replaceOnce(text, what, by) {
  assert.equal(text.split(what).length, 2, `"${what}" stands in the example once`)
  return text.replace(what, by)
}

test('the ten-line example runs, and its session is then in the bucket and comes back from it', (t) => {
  assert.equal(blocks.length, 1)
  const work = mkdtempSync(join(tmpdir(), 'hybrid-auth-readme-'))
  t.after(() => rmSync(work, { recursive: true, force: true }))
  const bucket = join(work, 'bucket')
  let script = replaceOnce(blocks[0], "'baileys-hybrid-auth'", JSON.stringify(pathToFileURL(join(root, 'index.js')).href))
  script = replaceOnce(script, "'file:///mnt/bucket'", JSON.stringify(`${pathToFileURL(bucket).href}?create=true`))
  script = replaceOnce(script, "'/var/lib/app/sessions'", 'process.argv[2]')
  script += '\nconsole.log(state.creds.noiseKey.public.length)\n'
  const file = join(work, 'example.mjs')
  writeFileSync(file, script)
  const env = { ...process.env, SESSION_ENCRYPTION_KEY: randomBytes(32).toString('hex') }
  const run = (disk) => execFileSync(process.execPath, [file, join(work, disk)], { cwd: root, env, encoding: 'utf8' })
  assert.equal(run('disk').trim(), '32')
  const names = readdirSync(bucket, { recursive: true }).map(String)
  assert.ok(names.some((name) => name.endsWith('.base')) && names.some((name) => name.endsWith('.released')), names.join(' '))
  assert.equal(run('another-disk').trim(), '32')
  assert.ok(blocks[0].trim().split('\n').length <= 12, 'ten lines or so')
})

test('the example that needs a socket is what Baileys is called with', () => {
  assert.match(blocks[0], /makeWASocket\(\{ auth: state \}\)/)
  assert.match(blocks[0], /'creds\.update', saveCreds/)
  assert.equal(all(read('README.md'), /(useHybridAuthState\('tenant-42'\))/g).length, 1)
})
