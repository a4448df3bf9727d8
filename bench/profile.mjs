// `npm run bench:profile`: backups of a browser profile, beside the archive that RemoteAuth of whatsapp-web.js would upload.
//
//   node bench/profile.mjs [--messages 400] [--rounds 20] [--new 20] [--restores 20] [--json]
//
// A real Chromium writes messages of 30 KB until its profile is large, and then `--new` messages of 1 KB before each round. In each
// round, of the same folder in the same state: a backup here while the browser runs, and an archive of the kept folders with the
// compression of RemoteAuth. Then the profile is restored to `--restores` blank machines at once. Printed: bytes that would be
// sent, CPU time of this process, time for which the browser stood still, requests of a round without a change, and the restores.
//
// The store is a directory: nothing here depends on a network, and both sides would send their bytes to the same one.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { openBrowser, servePage, writePairs } from '../testkit/browser/profile.mjs'
import binding from '../binding.js'
import profiles from '../lib/profile/index.js'
import zip from '../lib/zip/archive.js'

const number = (text) => ({ type: /** @type {const} */ ('string'), default: String(text) })
const { values: args } = parseArgs({
  options: { messages: number(400), rounds: number(20), new: number(20), restores: number(20), json: { type: 'boolean', default: false } }
})
const [messages, rounds, news, restores] = [args.messages, args.rounds, args.new, args.restores].map(Number)
const root = mkdtempSync(join(tmpdir(), 'hybrid-auth-profile-'))
const endings = []
/** The part of a test that the harness of the tests uses. */
const t = { after: (work) => endings.unshift(work) }

const options = { store: `file://${join(root, 'bucket')}`, encryptionKeys: ['5a'.repeat(32)], backupIntervalMs: 86_400_000 }
const open = (machine) => profiles.openProfile('bench', { ...options, directory: join(root, machine) })

/** Files that RemoteAuth archives. */
function archived(folder) {
  const kept = ['IndexedDB', 'Local Storage'].map((name) => join(folder, 'Default', name))
  const files = kept.flatMap((from) =>
    readdirSync(from, { recursive: true, withFileTypes: true })
      .filter((item) => item.isFile())
      .map((item) => join(item.parentPath ?? item.path, item.name))
  )
  return files.map((source) => ({ path: relative(folder, source).split(sep).join('/'), source }))
}

/** CPU time of this process for `work`, in milliseconds, and its answer. */
async function measured(work) {
  const [cpu, began] = [process.cpuUsage(), performance.now()]
  const answer = await work()
  const { user, system } = process.cpuUsage(cpu)
  return { answer, cpuMs: (user + system) / 1000, ms: performance.now() - began }
}

const requests = () => {
  const { puts, gets, lists, deletes } = binding.figures().traffic
  return puts + gets + lists + deletes
}
const sorted = (list) => [...list].sort((a, b) => a - b)
const median = (list) => sorted(list)[Math.floor(list.length / 2)]
const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length
const kb = (bytes) => `${Math.round(bytes / 1000).toLocaleString('en')} kB`
const ms = (time) => `${Math.round(time)} ms`

try {
  mkdirSync(join(root, 'bucket'))
  const url = await servePage(t)
  const profile = await open('one')
  endings.unshift(() => profile.close())
  const browser = await openBrowser(t, profile.path, url)
  profile.attach({ pid: browser.pid })
  await writePairs(browser.page, { count: messages, bytes: 30_000 })
  const first = await measured(() => profile.backup())
  const ours = []
  const theirs = []
  for (let round = 0; round < rounds; round++) {
    await writePairs(browser.page, { count: news, bytes: 1000 })
    ours.push(await measured(() => profile.backup()))
    const at = join(root, 'archive.zip')
    const made = await measured(() =>
      zip.writeZip(at, archived(profile.path)).then(
        () => statSync(at).size,
        () => null
      )
    )
    theirs.push(made)
  }
  const quiet = await (async () => {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const before = requests()
    const report = await profile.backup()
    return { ...report, requests: requests() - before }
  })()
  await browser.close()
  await profile.close()
  // One owner at a time: the copies come from one open, as a drill makes them.
  const owner = await open('two')
  endings.unshift(() => owner.close())
  const restored = await measured(() => Promise.all(Array.from({ length: restores }, (_, n) => owner.restoreTo(join(root, `copy-${n}`)))))

  const sent = ours.map(({ answer }) => answer.sent)
  const zipped = theirs.map(({ answer }) => answer).filter((size) => size !== null)
  const figures = {
    profileBytes: quiet.bytes,
    rounds,
    newMessages: news,
    first: { sent: first.answer.sent, ms: first.ms },
    here: {
      medianSent: median(sent),
      meanSent: mean(sent),
      mostSent: Math.max(...sent),
      medianCpuMs: median(ours.map(({ cpuMs }) => cpuMs)),
      medianMs: median(ours.map((one) => one.ms)),
      medianStoppedMs: median(ours.map(({ answer }) => answer.stoppedMs)),
      mostStoppedMs: Math.max(...ours.map(({ answer }) => answer.stoppedMs)),
      unchangedRequests: quiet.requests
    },
    archive: {
      medianSent: zipped.length > 0 ? median(zipped) : null,
      meanSent: zipped.length > 0 ? mean(zipped) : null,
      medianCpuMs: median(theirs.map(({ cpuMs }) => cpuMs)),
      medianMs: median(theirs.map((one) => one.ms)),
      failed: rounds - zipped.length
    },
    restores: { count: restores, bytes: restored.answer[0].bytes, ms: restored.ms, cpuMs: restored.cpuMs }
  }
  if (args.json) console.log(JSON.stringify(figures, null, 2))
  else {
    const { here, archive } = figures
    const rows = [
      ['', 'here', 'archive of RemoteAuth'],
      ['sent per backup, median', kb(here.medianSent), kb(archive.medianSent ?? 0)],
      ['sent per backup, mean', kb(here.meanSent), kb(archive.meanSent ?? 0)],
      ['CPU per backup, median', ms(here.medianCpuMs), ms(archive.medianCpuMs)],
      ['browser stopped, median and most', `${ms(here.medianStoppedMs)}, ${ms(here.mostStoppedMs)}`, 'not at all'],
      ['archives that failed', '', `${archive.failed} of ${rounds}`],
      ['requests without a change', String(here.unchangedRequests), 'all of it again']
    ]
    console.log(
      `profile of ${kb(figures.profileBytes)}, ${rounds} backups of ${news} messages each; first backup ${kb(figures.first.sent)} in ${ms(figures.first.ms)}`
    )
    for (const [name, ...cells] of rows) console.log(`${name.padEnd(36)}${cells.map((cell) => cell.padEnd(24)).join('')}`.trimEnd())
    console.log(
      `${restores} restores of ${kb(figures.restores.bytes)} at once: ${ms(figures.restores.ms)}, CPU ${ms(figures.restores.cpuMs)}`
    )
  }
} finally {
  for (const ending of endings) await ending()
  rmSync(root, { recursive: true, force: true, maxRetries: 5 })
}
