// `npm run bench:restores`: many browser profiles restored at once on a blank machine, beside the archives of RemoteAuth.
//
//   node bench/profile-restores.mjs [--profiles 100] [--bytes 2000000] [--delay 50] [--json]
//
// Each profile holds so many bytes that do not compress, as the blobs and tables of a browser do. Stored are a backup of it here, and the
// archive that RemoteAuth of whatsapp-web.js would have stored. Then all are restored at once: here by `openProfile`, which claims the
// session, waits for nobody, checks each piece and is ready to be used by a browser; there by downloading the archive and extracting it
// with the unzipper that whatsapp-web.js uses. Printed: the time of each, and by how much the memory of this process grew meanwhile.
//
// The store is `rclone serve s3` behind a proxy that lets each request wait for `--delay` milliseconds, as a distant bucket does.

import { randomFillSync } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { startProxy } from '../testkit/proxy/proxy.mjs'
import * as rclone from '../testkit/stores/rclone.mjs'
import { packageOf, VERSIONS } from '../testkit/browser/whatsapp-web.mjs'
import binding from '../binding.js'
import profiles from '../lib/profile/index.js'
import zip from '../lib/zip/archive.js'

const number = (text) => ({ type: /** @type {const} */ ('string'), default: String(text) })
const { values: args } = parseArgs({
  options: { profiles: number(100), bytes: number(2_000_000), delay: number(50), json: { type: 'boolean', default: false } }
})
const [count, bytes, delayMs] = [args.profiles, args.bytes, args.delay].map(Number)
/** Profiles that are prepared at once. */
const AT_ONCE = 8
/** Blobs of a profile. */
const FILES = 20

const require = createRequire(import.meta.url)
const unzipper = createRequire(require.resolve(packageOf(VERSIONS.at(-1))))('unzipper')
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-restores-'))
const endings = []
const names = Array.from({ length: count }, (_, n) => `shop-${n}`)
const kept = 'Default/IndexedDB/https_web.example_0.indexeddb.blob/1'

function makeProfile(folder) {
  mkdirSync(join(folder, kept), { recursive: true })
  for (let n = 0; n < FILES; n++) writeFileSync(join(folder, kept, String(n)), randomFillSync(Buffer.alloc(Math.ceil(bytes / FILES))))
}

const filesOf = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => join(item.parentPath ?? item.path, item.name))
    .map((source) => ({ path: relative(folder, source).split(sep).join('/'), source }))

async function inTurns(work) {
  const queue = names.values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const name of queue) await work(name)
    })
  )
}

/** Time of `work`, and the growth of this process's memory meanwhile. */
async function measured(work) {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = before
  const look = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss())
  }, 5)
  const began = performance.now()
  await work()
  clearInterval(look)
  return { ms: Math.round(performance.now() - began), grownBytes: most - before }
}

try {
  const server = await rclone.start()
  endings.unshift(() => server.stop())
  const proxy = await startProxy(server.address.endpoint)
  endings.unshift(() => proxy.stop())
  const bucket = await rclone.connect(server.address, { endpoint: proxy.origin }).makeBucket()
  const options = { ...bucket.options, encryptionKeys: ['5a'.repeat(32)], backupIntervalMs: 86_400_000 }
  const open = (name, machine) => profiles.openProfile(name, { ...options, directory: join(root, machine) })

  await inTurns(async (name) => {
    const folder = join(root, 'one', name)
    makeProfile(folder)
    const profile = await open(name, 'one')
    if (profile.path !== folder) throw new Error(`the profile is in ${profile.path}`)
    await profile.backup()
    await profile.close()
    const archive = join(root, `${name}.zip`)
    await zip.writeZip(
      archive,
      filesOf(folder).filter(({ path }) => path.startsWith('Default/'))
    )
    await bucket.put(`archives/${name}.zip`, readFileSync(archive))
  })

  proxy.rule({ fault: 'delay', delayMs })
  const requests = () => {
    const { puts, gets, lists, deletes } = binding.figures().traffic
    return puts + gets + lists + deletes
  }
  const before = requests()
  const opened = []
  const here = await measured(async () => {
    opened.push(...(await Promise.all(names.map((name) => open(name, 'two')))))
  })
  const asked = requests() - before
  const isWhole = (name) =>
    filesOf(join(root, 'one', name))
      .filter(({ path }) => path.startsWith(kept))
      .every(({ path, source }) => readFileSync(join(root, 'two', name, path)).equals(readFileSync(source)))
  if (!opened.every(({ restored }) => restored.source === 'remote') || !names.every(isWhole))
    throw new Error('a profile was not restored as it was')

  const client = rclone.connect({ ...server.address, endpoint: proxy.origin })
  const there = await measured(async () => {
    await Promise.all(
      names.map(async (name) => {
        const [archive, folder] = [join(root, 'three', `${name}.zip`), join(root, 'three', name)]
        mkdirSync(dirname(archive), { recursive: true })
        const answer = await client.ok('GET', bucket.name, `archives/${name}.zip`)
        await pipeline(Readable.fromWeb(answer.body), createWriteStream(archive))
        await new Promise((resolve, reject) =>
          createReadStream(archive)
            .pipe(unzipper.Extract({ path: folder }))
            .on('error', reject)
            .on('close', resolve)
        )
      })
    )
  })
  await Promise.all(opened.map((profile) => profile.close()))

  const figures = {
    profiles: count,
    bytes,
    delayMs,
    archiveBytes: statSync(join(root, `${names[0]}.zip`)).size,
    here: { ...here, requests: asked },
    archives: { ...there, requests: count }
  }
  const row = ({ ms, grownBytes, requests }) =>
    `${(ms / 1000).toFixed(1)} s, memory +${Math.round(grownBytes / 1e6)} MB, ${requests} requests`
  if (args.json) console.log(JSON.stringify(figures, null, 2))
  else
    console.log(
      `${count} profiles of ${bytes} bytes at once, ${delayMs} ms for each request\nhere                  ${row(figures.here)}\narchives of RemoteAuth ${row(figures.archives)}`
    )
} finally {
  for (const ending of endings) await ending()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
}
