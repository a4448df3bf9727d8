// Pipes and links that lead nowhere, under every name that an open looks at.
//
// Invariant guarded: an open never waits for what nobody writes into a pipe; it opens, or says which file is in the way, and what
// was a session is never replaced by a new identity. A link is not followed, and stays.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { lines } from '../../testkit/baileys/lines.mjs'
import { writeMultiFile } from '../support/migrations.mjs'
import { scene, startProcess } from '../../testkit/processes/sessions.mjs'

const [v7] = lines
const LOG = '00000000000000000001.log'
const NAMES = [
  'creds.json',
  'creds.json.bak',
  'creds.json.tmp',
  'pre-key-1.json',
  'pre-key-1.json.bak',
  'keys',
  'keys.json',
  'multi-file-originals-1',
  'other',
  'lock',
  'claims',
  LOG,
  '00000000000000000002.log'
]
const KINDS = {
  pipe: (path) => execFileSync('mkfifo', [path]),
  'dangling link': (path) => symlinkSync(`${path}-nowhere`, path),
  loop: (path) => symlinkSync(path, path)
}

async function openAll({ hybrid, args, say }) {
  const baileys = await import(args.baileys)
  for (const { tenant, directory } of args.places) {
    const opening = hybrid.useHybridAuthState(tenant, { directory, mode: 'local', localDurability: 'os', baileys }).then(
      async (session) => {
        const found = { source: session.status().restored.source, id: session.state.creds.registrationId }
        await session.close()
        return found
      },
      (error) => ({ code: error.name === 'HybridAuthError' ? error.code : String(error), message: error.message })
    )
    const late = new Promise((resolve) => setTimeout(resolve, 30_000, { hangs: true }))
    await say(await Promise.race([opening, late]))
  }
}

test('an open with a pipe or a link that leads nowhere in its folder ends, and makes no new identity beside a session', async (t) => {
  const at = scene(t)
  const baileys = await v7.load()
  const originals = join(at.root, 'originals')
  const multiFile = join(originals, 'multi-file')
  const { creds } = await writeMultiFile(baileys, multiFile)
  cpSync(multiFile, join(at.directory, 'ours'), { recursive: true })
  await (await at.openLocal('ours', { baileys })).close()
  mkdirSync(originals, { recursive: true })
  cpSync(join(at.directory, 'ours'), join(originals, 'ours'), { recursive: true })
  mkdirSync(join(originals, 'nothing'))

  const places = []
  for (const background of ['nothing', 'ours', 'multi-file']) {
    for (const [kind, make] of Object.entries(KINDS)) {
      if (kind === 'loop' && background !== 'nothing') continue
      for (const name of NAMES) {
        const directory = join(at.root, 'cases', String(places.length))
        mkdirSync(directory, { recursive: true })
        cpSync(join(originals, background), join(directory, 'tenant'), { recursive: true })
        const odd = join(directory, 'tenant', name)
        rmSync(odd, { recursive: true, force: true })
        make(odd)
        places.push({ what: `${kind} ${name} in ${background}`, background, name, directory, tenant: 'tenant', odd })
      }
    }
  }
  for (const [kind, make] of Object.entries(KINDS)) {
    for (const name of ['tenant', 'tenant.json']) {
      const directory = join(at.root, 'cases', String(places.length))
      mkdirSync(directory, { recursive: true })
      make(join(directory, name))
      places.push({
        what: `${kind} ${name} as the place of the session`,
        background: 'nothing',
        name,
        directory,
        tenant: 'tenant',
        odd: join(directory, name)
      })
    }
  }

  const { said } = startProcess(t, openAll, { places, baileys: import.meta.resolve('baileys') })
  for (const { what, background, name, odd } of places) {
    const found = await said()
    const told = `${what}: ${JSON.stringify(found)}`
    assert.ok(!found.hangs, told)
    if (found.code) assert.ok(['LOCAL_CORRUPT', 'LOCAL_UNAVAILABLE'].includes(found.code), told)
    else if (background !== 'nothing' && name !== LOG) assert.equal(found.id, creds.registrationId, told)
    if (name === 'creds.json' || name === 'tenant') assert.ok(found.code, told)
    if (!['lock', 'claims', LOG].includes(name)) assert.ok(!lstatSync(odd, { throwIfNoEntry: false })?.isFile(), told)
  }
})

async function useTools({ hybrid, args, say }) {
  const baileys = await import(args.baileys)
  const options = { directory: args.directory, mode: 'local', baileys }
  const fleet = new hybrid.HybridAuth(options)
  const tools = {
    inspect: () => fleet.inspect('tenant'),
    exportMultiFile: () => hybrid.exportMultiFile('tenant', args.target, options),
    pruneKeys: () => fleet.pruneKeys('tenant'),
    migrate: async () => (await hybrid.migrate({ ...options, from: args.from })).sessions[0]
  }
  for (const [name, tool] of Object.entries(tools)) {
    const late = new Promise((resolve) => setTimeout(resolve, 30_000, { code: 'hangs' }))
    const { code, message } = await Promise.race([tool().catch((error) => error), late])
    await say({ name, code, message })
  }
}

test('a tool that meets a pipe in place of a lock or a log says so', async (t) => {
  const at = scene(t)
  await writeMultiFile(await v7.load(), join(at.root, 'old', 'tenant'))
  for (const name of ['lock', LOG]) {
    const directory = join(at.root, name)
    mkdirSync(join(directory, 'tenant'), { recursive: true })
    KINDS.pipe(join(directory, 'tenant', name))
    const { said, kill } = startProcess(t, useTools, {
      directory,
      target: join(at.root, 'copy'),
      from: join(at.root, 'old'),
      baileys: import.meta.resolve('baileys')
    })
    for (let n = 0; n < 4; n++) {
      const found = await said()
      assert.equal(found.code, 'LOCAL_UNAVAILABLE', `${name}: ${JSON.stringify(found)}`)
      assert.ok(found.message.includes(`\`${name}\` in the folder of this tenant is a pipe`), found.message)
    }
    await kill()
  }
})
