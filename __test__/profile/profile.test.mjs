// Profiles of a real Chromium: backed up while it runs and at its end, restored on another machine, with one owner.
//
// Invariants guarded (I7, I17, I22): what an acknowledged generation holds opens in a browser with every pair whole; the folder of a
// profile is that of the newest generation, or newer; a fenced profile ends its browser and changes nothing in the store.

import assert from 'node:assert/strict'
import { appendFileSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { atEnd } from '../../testkit/base/endings.mjs'
import { openBrowser, readPairs, servePage, startPairs, stopPairs, writePairs } from '../../testkit/browser/profile.mjs'
import { eventually, KEY, scratch } from '../../testkit/processes/machines.mjs'
import profiles from '../../lib/profile/index.js'
import hybrid from '../../index.js'
import { sized } from '../support/size.mjs'

const { openProfile } = profiles

/** Longer than any test. */
const NEVER = 3_600_000

function world(t) {
  const root = scratch(t)
  mkdirSync(join(root, 'bucket'))
  const options = { store: `file://${join(root, 'bucket')}`, encryptionKeys: [KEY], backupIntervalMs: NEVER, ownershipCheckIntervalMs: 200 }
  return {
    root,
    options,
    /** Opens the profile on a machine, and closes it with the test. */
    async open(machine, how = {}) {
      const profile = await openProfile('shop', { ...options, directory: join(root, machine), ...how })
      atEnd(t, () => profile.close().catch(() => {}))
      return profile
    }
  }
}

async function browse(t, profile, url) {
  const browser = await openBrowser(t, profile.path, url)
  profile.attach({ pid: browser.pid })
  return browser
}

test('profile_of_a_closed_browser_opens_on_a_blank_machine_with_every_pair', async (t) => {
  const { open } = world(t)
  const url = await servePage(t)
  const first = await open('one')
  assert.deepEqual([first.restored.source, first.generation()], ['fresh', null])
  const browser = await browse(t, first, url)
  await writePairs(browser.page, { count: 20 })
  await writePairs(browser.page, { count: 3, bytes: 120_000 })
  await browser.close()
  await first.close()

  const second = await open('two')
  assert.deepEqual([second.restored.source, second.restored.clean, second.generation()?.quiet], ['remote', true, 'closed'])
  const again = await browse(t, second, url)
  assert.deepEqual(await readPairs(again.page), { count: 23, newest: 23, isEqual: true, local: 23 })
})

test('every_backup_of_a_browser_that_writes_is_whole', async (t) => {
  const { open, root } = world(t)
  const url = await servePage(t)
  const profile = await open('one')
  const browser = await browse(t, profile, url)
  await writePairs(browser.page, { count: 5, bytes: 120_000 })
  await startPairs(browser.page, { bytes: 120_000 })
  const made = []
  for (let round = 0; round < sized(2, 6); round++) {
    const before = Number(await browser.page.evaluate('page.newest()'))
    const report = await profile.backup()
    assert.equal(report.changed, true)
    const to = join(root, `copy-${round}`)
    await profile.restoreTo(to, { generation: report.generation })
    made.push({ to, before, report })
  }
  await stopPairs(browser.page)
  await browser.close()
  for (const { to, before, report } of made) {
    const opened = await openBrowser(t, to, url)
    const { isEqual, newest } = await readPairs(opened.page)
    assert.ok(isEqual && newest >= before, `generation ${report.generation} (${report.quiet}): ${newest} of at least ${before}`)
    await opened.close()
  }
  t.diagnostic(JSON.stringify(made.map(({ report }) => [report.quiet, report.stoppedMs, report.tries, report.sent])))
})

test('restart_on_the_same_disk_goes_on_with_what_the_browser_left_and_downloads_nothing', async (t) => {
  const { open } = world(t)
  const url = await servePage(t)
  const first = await open('one')
  const browser = await browse(t, first, url)
  await writePairs(browser.page, { count: 5 })
  await first.backup()
  // Newer than any backup.
  await writePairs(browser.page, { count: 5 })
  await browser.close()
  // The process dies: neither a last backup nor a release.
  const path = first.path
  const aside = `${path}.kept`
  cpSync(path, aside, { recursive: true })
  await first.close()
  const second = await open('one')
  assert.equal(second.restored.source, 'local')
  const again = await browse(t, second, url)
  assert.deepEqual((await readPairs(again.page)).newest, 10)
})

test('folder_that_another_machine_has_overtaken_is_set_aside_and_kept', async (t) => {
  const { open, root } = world(t)
  const url = await servePage(t)
  const first = await open('one')
  const browser = await browse(t, first, url)
  await writePairs(browser.page, { count: 5 })
  await browser.close()
  await first.close()
  const second = await open('two')
  const other = await browse(t, second, url)
  await writePairs(other.page, { count: 5 })
  await other.close()
  await second.close()
  const third = await open('one')
  assert.equal(third.restored.source, 'remote')
  assert.equal(readdirSync(join(root, 'one')).filter((name) => name.includes('.superseded-')).length, 1)
  const back = await browse(t, third, url)
  assert.deepEqual(await readPairs(back.page), { count: 10, newest: 10, isEqual: true, local: 10 })
})

test('fenced_profile_ends_its_browser_and_stores_nothing', async (t) => {
  const { open, root } = world(t)
  const url = await servePage(t)
  const first = await open('one')
  const told = []
  for (const event of ['fenced', 'error']) first.on(event, () => told.push(event))
  const browser = await browse(t, first, url)
  await writePairs(browser.page, { count: 5 })
  await first.backup()
  const second = await open('two')
  const { signal } = await browser.ended
  assert.equal(signal, 'SIGKILL')
  await eventually('the news', () => told.includes('fenced'))
  const packs = () =>
    readdirSync(join(root, 'bucket'), { recursive: true })
      .filter((name) => String(name).endsWith('.pack'))
      .sort()
  const stored = packs()
  await assert.rejects(first.backup(), { code: 'FENCED' })
  await first.close().catch(() => {})
  assert.deepEqual(packs(), stored)
  assert.equal(existsSync(first.path), true, 'nothing is deleted')
  assert.equal(second.restored.source, 'remote')
})

test('lock_of_another_host_does_not_keep_the_browser_out_and_a_running_browser_does', async (t) => {
  const { open, root } = world(t)
  const url = await servePage(t)
  const first = await open('one')
  const browser = await browse(t, first, url)
  await writePairs(browser.page, { count: 2 })
  await assert.rejects(open('one'), { code: 'ALREADY_OPEN' })
  await first.backup()
  const { path } = first
  // The owner is gone, and its browser runs on.
  await first.close()
  await assert.rejects(open('one'), { code: 'ALREADY_OPEN', message: /browser \(process \d+\)/ })
  await browser.kill()
  rmSync(join(path, 'SingletonLock'), { force: true })
  symlinkSync('another-host-4711', join(path, 'SingletonLock'))
  const second = await open('one')
  const again = await browse(t, second, url)
  assert.equal((await readPairs(again.page)).newest, 2)
  assert.ok(root)
})

test('torn_end_of_a_log_is_cut_off_before_a_browser_writes_behind_it', async (t) => {
  const { open } = world(t)
  const url = await servePage(t)
  const first = await open('one')
  const browser = await browse(t, first, url)
  await writePairs(browser.page, { count: 3 })
  await browser.kill()
  await first.close()
  const folder = join(first.path, 'Default', 'IndexedDB')
  const [log] = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .reverse()
  const size = statSync(join(folder, log)).size
  // A record of 1,000 bytes of which ten arrived, as a killed browser leaves it.
  appendFileSync(join(folder, log), Buffer.from([1, 2, 3, 4, 0xe8, 3, 1, ...Array(10).fill(7)]))
  const second = await open('one')
  assert.equal(second.restored.source, 'local')
  assert.equal(statSync(join(folder, log)).size, size)
  const again = await browse(t, second, url)
  assert.equal((await readPairs(again.page)).newest, 3)
  await writePairs(again.page, { count: 3 })
  await second.backup()
})

test('profile_that_is_there_is_taken_over_and_a_new_one_is_told', async (t) => {
  const { open, root } = world(t)
  const url = await servePage(t)
  const made = await openBrowser(t, join(root, 'made'), url)
  await writePairs(made.page, { count: 4 })
  await made.close()
  const seen = []
  const fresh = await open('one', { onEvent: ({ event }) => seen.push(event) })
  await eventually('the news', () => seen.includes('fresh'))
  const { path } = fresh
  await fresh.close()
  await assert.rejects(open('one', { onMissing: 'error' }), { code: 'NOT_FOUND' }, 'it was opened, and never paired')
  rmSync(path, { recursive: true, force: true })
  mkdirSync(join(root, 'two'), { recursive: true })
  renameSync(join(root, 'made'), join(root, 'two', 'shop'))
  const taken = await openProfile('other', {
    store: `file://${join(root, 'bucket')}`,
    encryptionKeys: [KEY],
    directory: join(root, 'two'),
    backupIntervalMs: NEVER
  })
  await taken.close()
  renameSync(join(root, 'two', 'shop'), join(root, 'two', 'adopted'))
  const adopted = await openProfile('adopted', {
    store: `file://${join(root, 'bucket')}`,
    encryptionKeys: [KEY],
    directory: join(root, 'two'),
    backupIntervalMs: NEVER
  })
  assert.equal(adopted.restored.source, 'imported')
  await adopted.close()
  const blank = await openProfile('adopted', {
    store: `file://${join(root, 'bucket')}`,
    encryptionKeys: [KEY],
    directory: join(root, 'three'),
    backupIntervalMs: NEVER
  })
  atEnd(t, () => blank.close())
  assert.equal(blank.restored.source, 'remote')
  const browser = await browse(t, blank, url)
  assert.equal((await readPairs(browser.page)).newest, 4)
})

test('logout_leaves_neither_profile_nor_packs', async (t) => {
  const { open, root } = world(t)
  const url = await servePage(t)
  const profile = await open('one')
  const browser = await browse(t, profile, url)
  await writePairs(browser.page, { count: 2 })
  await profile.backup()
  await browser.close()
  await profile.logout()
  assert.equal(profile.status().life, 'deleted')
  await eventually('the folder to go', () => !existsSync(profile.path))
  assert.equal(
    readdirSync(join(root, 'bucket'), { recursive: true }).some((name) => String(name).endsWith('.pack')),
    false
  )
  await assert.rejects(open('two'), { code: 'DELETED' })
})

test('wrong_calls_are_typed_errors_and_change_nothing', async (t) => {
  const { options, root } = world(t)
  const directory = join(root, 'one')
  for (const [id, how] of [
    ['', {}],
    [7, {}],
    ['a', { mode: 'local' }],
    ['a', { store: undefined }],
    ['a', { importFrom: 'x' }],
    ['a', { generations: 0 }],
    ['a', { backupIntervalMs: 'soon' }],
    ['a', { extraPaths: 'Default/Cookies' }],
    ['a', { nonsense: 1 }]
  ]) {
    await assert.rejects(openProfile(id, { ...options, directory, ...how }), { code: 'INVALID_OPTION' }, JSON.stringify([id, how]))
  }
  const { backupIntervalMs: _, ...ofSessions } = options
  for (const tenantId of ['browser-profile/shop', 'whatsapp-web.js/shop']) {
    await assert.rejects(hybrid.useHybridAuthState(tenantId, { ...ofSessions, directory }), {
      code: 'INVALID_OPTION',
      message: /openProfile/
    })
  }
  const profile = await openProfile('a', { ...options, directory, extraPaths: ['../elsewhere'] })
  atEnd(t, () => profile.close().catch(() => {}))
  for (const running of [undefined, {}, { pid: 0 }, { pid: 1 }, { pid: -5 }, { pid: process.pid }, { pid: '12' }]) {
    assert.throws(() => profile.attach(/** @type {any} */ (running)), { code: 'INVALID_OPTION' })
  }
  mkdirSync(join(profile.path, 'Default'), { recursive: true })
  await assert.rejects(profile.backup(), { code: 'INVALID_OPTION' })
  await assert.rejects(profile.restoreTo(join(root, 'copy')), { code: 'NOT_FOUND' })
})
