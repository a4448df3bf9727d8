// A program with one browser profile: it opens it, runs a Chromium on it that writes without a pause, and backs it up without a pause.
//
//   node child-profile.mjs '{"url", "directory", "options"}'
//
// Lines on standard output, as JSON: `{ opened, pid, found }` once the browser runs, `found` being the pairs that it found, and
// `{ acknowledged, newest }` for each backup, `newest` being a pair that was written before it began.

import profiles from '../../lib/profile/index.js'
import { openBrowser, readPairs, startPairs } from './profile.mjs'

const { url, directory, options } = JSON.parse(process.argv[2])
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
/** Nothing ends here in order: this program is killed. */
const t = { after: () => {} }

const profile = await profiles.openProfile('shop', { ...options, directory })
const browser = await openBrowser(t, profile.path, url)
profile.attach({ pid: browser.pid })
const found = await readPairs(browser.page)
tell({ opened: profile.restored.source, pid: browser.pid, found })
await startPairs(browser.page, { bytes: 3000 })
for (;;) {
  const newest = await browser.page.evaluate('page.newest()').catch(() => null)
  // The browser may have been killed, and the program goes on.
  if (newest === null) await new Promise((resolve) => setTimeout(resolve, 20))
  const { generation } = await profile.backup()
  if (newest !== null) tell({ acknowledged: generation, newest })
}
