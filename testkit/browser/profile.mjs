// A page that keeps what WhatsApp Web keeps, and a real Chromium on a profile folder: what a test of a profile needs.
//
// The page writes pairs: one transaction puts the same number and the same text into two object stores, so that a profile that is
// no instant of its own is seen. A text above 64 KiB lies in a blob file. It keeps the newest number in local storage too, and has a
// service worker with a cache.
//
// Invariants: everything comes from loopback; a browser that was opened here is gone when the test is; nothing else in a profile
// folder is written than what Chromium writes by itself.

import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { chromiumPath, hasSandbox, PATIENCE_MS } from './chromium.mjs'
import { atEnd } from '../base/endings.mjs'

const WORKER = `
  self.addEventListener('install', (event) => event.waitUntil(caches.open('assets').then((cache) => cache.add('/asset.bin')).then(() => self.skipWaiting())))
  self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))
`

/** Runs in the page: it sees nothing of this module. */
function program() {
  const STORES = ['left', 'right']
  const done = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const ended = (transaction) =>
    new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error)
    })
  /** Random, so that it does not compress. */
  const text = (bytes) => {
    let all = ''
    while (all.length < bytes) all += Math.random().toString(36).slice(2)
    return all.slice(0, bytes)
  }
  const opening = indexedDB.open('model-storage', 1)
  opening.onupgradeneeded = () => STORES.forEach((name) => opening.result.createObjectStore(name, { keyPath: 'id' }))
  const opened = done(opening)
  let isWriting = false
  let over = Promise.resolve()

  const page = {
    async newest() {
      const db = await opened
      return (await done(db.transaction('left').objectStore('left').getAllKeys())).at(-1) ?? 0
    },
    async write(count, bytes) {
      const db = await opened
      let id = await page.newest()
      for (const last = id + count; id < last;) {
        const pair = { id: ++id, value: text(bytes) }
        const transaction = db.transaction(STORES, 'readwrite')
        for (const name of STORES) transaction.objectStore(name).put(pair)
        await ended(transaction)
        localStorage.setItem('newest', String(id))
      }
      return id
    },
    start(bytes) {
      isWriting = true
      over = (async () => {
        while (isWriting) await page.write(1, bytes)
      })()
    },
    async stop() {
      isWriting = false
      await over
      return page.newest()
    },
    async read() {
      const db = await opened
      const transaction = db.transaction(STORES)
      const [left, right] = await Promise.all(STORES.map((name) => done(transaction.objectStore(name).getAll())))
      return {
        count: left.length,
        newest: left.at(-1)?.id ?? 0,
        isEqual: JSON.stringify(left) === JSON.stringify(right) && left.every(({ id }, n) => id === n + 1),
        local: Number(localStorage.getItem('newest') ?? 0)
      }
    }
  }
  Object.assign(window, { page })
  window.isReady = navigator.serviceWorker
    .register('/worker.js')
    .then(() => navigator.serviceWorker.ready)
    .then(() => true)
}

const filesOf = (script) => ({
  '/': ['text/html', `<!doctype html><title>Pairs</title><script>${script};(${program})()</script>`],
  '/worker.js': ['text/javascript', WORKER],
  '/asset.bin': ['application/octet-stream', Buffer.alloc(200_000, 'asset')]
})

/**
 * Serves the page until the test ends; resolves to its address. A profile belongs to one address, so a test serves one page. `script` runs
 * in it before everything else.
 */
export async function servePage(t, { script = '' } = {}) {
  const files = filesOf(script)
  const server = createServer(({ url }, response) => {
    const path = new URL(url, 'http://localhost').pathname
    const [type, body] = files[path] ?? ['text/plain', '']
    response.writeHead(path in files ? 200 : 404, { 'content-type': type }).end(body)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  atEnd(t, () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return `http://127.0.0.1:${port}/`
}

/** The arguments of Chromium for tests. */
export const BROWSER_ARGS = [
  '--headless=new',
  ...(hasSandbox ? [] : ['--no-sandbox']),
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--no-default-browser-check',
  '--password-store=basic',
  '--use-mock-keychain'
]

/** The port that Chromium wrote into its profile. */
async function portOf(userDataDir, child) {
  const deadline = performance.now() + PATIENCE_MS
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Chromium ended (${child.exitCode ?? child.signalCode})`)
    try {
      const [port, rest] = readFileSync(join(userDataDir, 'DevToolsActivePort'), 'utf8').split('\n')
      if (rest !== undefined) return Number(port)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('Chromium never listened')
}

/** Ends a browser that leads a group, with all of its processes. */
export function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/**
 * A Chromium on a profile folder, with the page at `url` open: `{ pid, page, ended, close(), kill() }`. It is the browser process itself
 * that `pid` names, and `kill()` ends it as a lost machine does.
 */
export async function openBrowser(t, userDataDir, url) {
  // A profile that was restored, or whose browser was killed, may hold the port of another time.
  rmSync(join(userDataDir, 'DevToolsActivePort'), { force: true })
  const args = [...BROWSER_ARGS, '--remote-debugging-port=0', `--user-data-dir=${userDataDir}`, 'about:blank']
  // As the leader of a group, so that all of its processes end at once.
  const child = spawn(chromiumPath(), args, { stdio: 'ignore', detached: true })
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
  const kill = () => {
    killGroup(child)
    return ended
  }
  atEnd(t, kill)
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${await portOf(userDataDir, child)}`, { timeout: PATIENCE_MS })
  const page = await openPairs(browser.contexts()[0], url)
  async function close() {
    const session = await browser.newBrowserCDPSession()
    await session.send('Browser.close').catch(() => {})
    return ended
  }
  return { pid: child.pid, page, ended, close, kill }
}

/** The page in a browser that somebody else opened; `context` makes pages as those of Playwright and Puppeteer do. */
export async function openPairs(context, url) {
  const page = await context.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  await page.goto(url)
  await page.evaluate('window.isReady')
  return page
}

/** Writes so many pairs of texts of `bytes` bytes, each in a transaction; resolves to the number of the newest. */
export const writePairs = (page, { count = 1, bytes = 1000 } = {}) => page.evaluate(`page.write(${count}, ${bytes})`)

/** Writes pairs back to back until `stopPairs`. */
export const startPairs = (page, { bytes = 1000 } = {}) => page.evaluate(`page.start(${bytes})`)

/** Resolves to the number of the newest pair. */
export const stopPairs = (page) => page.evaluate('page.stop()')

/** All pairs: `{ count, newest, isEqual, local }`; `isEqual` is false if one lacks its other half or its predecessor. */
export const readPairs = (page) => page.evaluate('page.read()')
