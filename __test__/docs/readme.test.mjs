// The README: how long it is, and that its JavaScript and that of the quickstart run as they stand, but for where they keep their
// files and which server they talk to.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { atEnd } from '../../testkit/base/endings.mjs'
import { KEY, until } from '../../testkit/processes/sessions.mjs'
import { whatsAppFor } from '../../testkit/whatsapp/service.mjs'
import { all, files, read, root } from './repository.mjs'

const readme = read('README.md')
const blocks = [...read('docs/quickstart.md').matchAll(/^```(?:js|ts)\n([\s\S]*?)^```$/gm)].map(([, block]) => block)

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
  assert.equal(all(read('docs/quickstart.md'), /(useHybridAuthState\('tenant-42'\))/g).length, 1)
})

test('the README is read in a few minutes: 10 kB, and its first sentence has 35 words at most', () => {
  assert.ok(Buffer.byteLength(readme) <= 10_240, `${Buffer.byteLength(readme)} bytes`)
  const [, first] = readme.split('\n\n')
  assert.ok(first.split(/\s+/).length <= 35 && first.split(/\.(?:\s|$)/).filter(Boolean).length === 1, first)
})

const index = JSON.stringify(pathToFileURL(join(root, 'index.js')).href)
const [, diff] = readme.match(/^```diff\n([\s\S]*?)^```$/m)
const side = (sign) => all(diff, new RegExp(`^\\${sign}(?!import \\{ makeWASocket)(.*)$`, 'gm'))

test('the lines of the difference take a session over, at the first start and at every later one', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hybrid-auth-readme-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const run = (name, lines) => {
    const body = lines.filter((line) => !line.startsWith('import'))
    const imports = `import { useMultiFileAuthState } from ${JSON.stringify(import.meta.resolve('baileys'))}\nimport { useHybridAuthState } from ${index}`
    writeFileSync(
      join(folder, name),
      `${imports}\n${body.join('\n')}\nawait saveCreds()\nconsole.log(state.creds.noiseKey.public.toString('hex'))`
    )
    return execFileSync(process.execPath, [join(folder, name)], { cwd: folder, encoding: 'utf8' }).trim()
  }
  assert.equal(side('-').length + side('+').length, 3, 'beside the import of makeWASocket')
  const identity = run('before.mjs', side('-'))
  assert.match(identity, /^[0-9a-f]{64}$/)
  assert.deepEqual([run('after.mjs', side('+')), run('after.mjs', side('+'))], [identity, identity])
})

test('what the documents import from Baileys is there in each line of it, from an ES module and from CommonJS', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hybrid-auth-readme-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const documents = files().filter((file) => file === 'README.md' || /^docs\/.*\.md$/.test(file))
  const imports = documents.flatMap((file) => all(read(file), /^[-+]?(import .*) from 'baileys'/gm))
  assert.ok(imports.length >= 5, String(imports))
  const names = [...new Set(imports.flatMap((line) => all(line.replace(/\btype \w+/g, ''), /[{,] *(\w+)/g)))]
  assert.ok(names.includes('makeWASocket') && names.includes('DisconnectReason'), String(names))
  for (const line of ['baileys', '@whiskeysockets/baileys', 'baileys-v6']) {
    const statements = imports.map((statement) => `${statement} from '${line}'`)
    // A default import is the namespace, and no function, where Baileys is CommonJS.
    assert.deepEqual(
      statements.filter((statement) => !/^import (\{|\* as )/.test(statement)),
      []
    )
    const module = `import { ${names} } from '${line}'; import { createRequire } from 'node:module'
      const required = createRequire(import.meta.url)('${line}')
      for (const [name, value] of Object.entries({ ${names} })) if (required[name] !== value) throw new Error(name)
      console.log(typeof makeWASocket)`
    const told = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '--eval', module], { cwd: root, encoding: 'utf8' })
    assert.equal(told, 'function\n', line)
  }
})

/** Stands where the README imports Baileys: the same sockets, which talk to the double of WhatsApp's server. */
const baileysAt = ({ url, rootKey }) => {
  const from = (name) => JSON.stringify(new URL(`../../testkit/${name}`, import.meta.url).href)
  return `
    import * as baileys from ${JSON.stringify(import.meta.resolve('baileys'))}
    import { trust } from ${from('whatsapp/certificates.mjs')}
    import { deriveKeysAtOnce } from ${from('whatsapp/prompt-keys.mjs')}
    import { quietLibsignal, silentLogger } from ${from('world/baileys.mjs')}
    quietLibsignal()
    deriveKeysAtOnce()
    trust(baileys, Buffer.from('${rootKey.toString('hex')}', 'hex'))
    const how = { waWebSocketUrl: '${url}', logger: silentLogger, shouldSyncHistoryMessage: () => false }
    export const makeWASocket = (config) => baileys.makeWASocket({ ...how, ...config })
    export const { DisconnectReason } = baileys
  `
}

test('the connection handler pairs, reconnects, restores on an empty disk, steps back and logs out, with real sockets', async (t) => {
  const whatsapp = await whatsAppFor(t)
  const work = mkdtempSync(join(tmpdir(), 'hybrid-auth-readme-'))
  t.after(() => rmSync(work, { recursive: true, force: true }))
  const [handler, ...more] = [...readme.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, block]) => block)
  assert.deepEqual(more, [])
  writeFileSync(join(work, 'baileys.mjs'), baileysAt(whatsapp))
  let script = replaceOnce(handler, "from 'baileys'", "from './baileys.mjs'")
  script = replaceOnce(script, "'baileys-hybrid-auth'", index)
  script = replaceOnce(script, 'setTimeout(connect, 5000)', 'setTimeout(connect, 50)')
  writeFileSync(join(work, 'bot.mjs'), script)

  const envOf = (disk) => ({
    ...process.env,
    WHATSAPP_SESSION_PATH: join(work, disk),
    SESSION_BACKUP_STORE: `${pathToFileURL(join(work, 'bucket')).href}?create=true`,
    SESSION_ENCRYPTION_KEY: KEY
  })
  const start = (disk, ...args) => {
    const child = spawn(process.execPath, [join(work, 'bot.mjs'), ...args], {
      cwd: root,
      env: envOf(disk),
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const bot = { child, said: '', ended: once(child, 'close') }
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (bot.said += text))
    atEnd(t, () => {
      child.kill('SIGKILL')
      return bot.ended
    })
    return bot
  }
  const seen = (bot, isTrue, what) => until(() => isTrue() || bot.child.exitCode !== null, `${what}; it said ${bot.said}`)
  const pair = async (bot) => {
    await seen(bot, () => bot.said.includes('scan this code: '), 'the code')
    const [, qr] = bot.said.match(/scan this code: (\S+)/) ?? assert.fail(bot.said)
    const { jid } = await whatsapp.scan(qr, { phone: '4915550000001' })
    await online(bot, jid)
    return jid
  }
  // One whose session has ended may be ending by itself just then, and hear no signal any more.
  const stopEnded = async (bot) => {
    bot.child.kill('SIGTERM')
    const [code, signal] = await bot.ended
    assert.ok(code === 0 || signal === 'SIGTERM', `${code} ${signal}: ${bot.said}`)
  }
  const online = (bot, jid) => seen(bot, () => whatsapp.isOnline(jid), 'the connection')

  // Without `--pair` nothing is made in place of what is missing.
  const missing = start('disk')
  assert.deepEqual(await missing.ended, [1, null], missing.said)
  assert.match(missing.said, /NOT_FOUND/)

  const first = start('disk', '--pair')
  const jid = await pair(first)
  await whatsapp.restart()
  await until(() => !whatsapp.isOnline(jid), 'the end of the connection')
  await online(first, jid)
  first.child.kill('SIGTERM')
  assert.deepEqual(await first.ended, [0, null], first.said)

  // What a process does after its session ended is its own affair: Baileys has timers that keep it for minutes.
  const marks = (suffix) =>
    readdirSync(join(work, 'bucket'), { recursive: true })
      .map(String)
      .filter((name) => name.endsWith(suffix))
  const released = new Set(marks('.released'))
  const elsewhere = start('another-disk')
  await online(elsewhere, jid)
  await whatsapp.replace(jid)
  await seen(elsewhere, () => !whatsapp.isOnline(jid), 'the end of its connection')
  await seen(elsewhere, () => marks('.released').some((name) => !released.has(name)), 'the release')
  await stopEnded(elsewhere)

  const last = start('another-disk')
  await online(last, jid)
  await whatsapp.logout(jid)
  await seen(last, () => marks('.base').length === 0, 'the end of the session')
  await stopEnded(last)
  for (const bot of [first, elsewhere, last]) assert.doesNotMatch(bot.said.replace(/scan this code.*/g, ''), /\S/)
  const deleted = start('another-disk')
  assert.deepEqual(await deleted.ended, [1, null])
  assert.match(deleted.said, /DELETED/)
  const again = start('another-disk', '--pair')
  assert.notEqual(await pair(again), jid)
})
