// A real browser for tests: Debian's Chromium, without a window.
//
// Invariants: what is shown comes from loopback; the browser is gone when the test is.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import { provide } from '../install/apt.mjs'
import { atEnd } from '../base/endings.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const find = () =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find(existsSync)

/** The program, installed where it is missing and may be. */
export const chromiumPath = () => provide('chromium', 'Chromium', find)

/** True where Chromium can isolate its processes: it refuses to for root. */
export const hasSandbox = process.getuid?.() !== 0

/** Generous: it only ends a broken run. */
export const PATIENCE_MS = 180_000

/** A page to visit things with, and what went wrong on it so far. `context`: options of the browser's context. */
export async function openPage(t, context = {}) {
  const args = ['--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking']
  const browser = await chromium.launch({ executablePath: chromiumPath(), chromiumSandbox: hasSandbox, args, timeout: PATIENCE_MS })
  atEnd(t, () => browser.close())
  const page = await (await browser.newContext(context)).newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  const faults = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url())
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') faults.push(`asked ${hostname}`)
  })
  return { page, faults }
}
