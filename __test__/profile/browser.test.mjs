// The page and the browser that the tests of profiles use: they keep what they say, and notice what they are there to notice.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from '../../testkit/base/missing.mjs'
import { scratch } from '../../testkit/base/endings.mjs'
import { openBrowser, readPairs, servePage, startPairs, stopPairs, writePairs } from '../../testkit/browser/profile.mjs'

test('a profile keeps its pairs over a killed and a closed browser, with values in tables and in blob files', async (t) => {
  const url = await servePage(t)
  const profile = join(scratch(t), 'profile')
  const first = await openBrowser(t, profile, url)
  assert.equal(await writePairs(first.page, { count: 3 }), 3)
  assert.equal(await writePairs(first.page, { count: 2, bytes: 120_000 }), 5)
  assert.deepEqual(await readPairs(first.page), { count: 5, newest: 5, isEqual: true, local: 5 })
  assert.deepEqual(await first.kill(), { code: null, signal: 'SIGKILL' })

  const second = await openBrowser(t, profile, url)
  const { local: _, ...pairs } = await readPairs(second.page)
  assert.deepEqual(pairs, { count: 5, newest: 5, isEqual: true })
  await startPairs(second.page, { bytes: 120_000 })
  const newest = await stopPairs(second.page)
  assert.ok(newest > 5, String(newest))
  await second.close()
  const names = readdirSync(join(profile, 'Default'))
  for (const name of ['IndexedDB', 'Local Storage', 'Service Worker']) assert.ok(names.includes(name), name)

  const third = await openBrowser(t, profile, url)
  assert.deepEqual(await readPairs(third.page), { count: newest, newest, isEqual: true, local: newest })
})

test('a pair of which one half is missing is not equal', async (t) => {
  const url = await servePage(t)
  const { page } = await openBrowser(t, join(scratch(t), 'profile'), url)
  await writePairs(page, { count: 2 })
  await page.evaluate(`new Promise((resolve) => {
    const opening = indexedDB.open('model-storage', 1)
    opening.onsuccess = () => {
      const transaction = opening.result.transaction('right', 'readwrite')
      transaction.objectStore('right').delete(2)
      transaction.oncomplete = () => resolve()
    }
  })`)
  assert.equal((await readPairs(page)).isEqual, false)
})

test('a profile of which blob files are missing does not open as if nothing had been there', async (t) => {
  const url = await servePage(t)
  const profile = join(scratch(t), 'profile')
  const first = await openBrowser(t, profile, url)
  await writePairs(first.page, { count: 2, bytes: 120_000 })
  await first.close()
  const blobs = readdirSync(join(profile, 'Default/IndexedDB')).find((name) => name.endsWith('.indexeddb.blob'))
  assert.ok(blobs !== undefined && existsSync(join(profile, 'Default/IndexedDB', blobs)))
  rmSync(join(profile, 'Default/IndexedDB', blobs), { recursive: true })
  const second = await openBrowser(t, profile, url)
  await assert.rejects(readPairs(second.page))
})
