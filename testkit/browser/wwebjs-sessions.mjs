// Sessions of whatsapp-web.js as its own classes leave them: profiles of a real Chromium, and the zips that the real RemoteAuth makes of them.

import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEnd } from '../base/endings.mjs'
import { openBrowser, servePage, writePairs } from './profile.mjs'
import { fingerprintsOf, temporaryFolder } from '../processes/sessions.mjs'
import { load } from './whatsapp-web.mjs'

const KEPT = /^Default\/(IndexedDB|Local Storage)\/(?!.*\/?(LOCK|LOG|LOG\.old)$)/

/** Parts of a profile that a session consists of. */
export const keptOf = (folder) => Object.fromEntries(Object.entries(fingerprintsOf(folder)).filter(([path]) => KEPT.test(path)))

/** Two profiles of one browser, the second with more pairs than the first: `{ url, first, second }`. */
export async function makeProfiles(t) {
  const folder = temporaryFolder(t, 'profiles')
  const made = { url: await servePage(t), first: join(folder, 'first'), second: join(folder, 'second') }
  const browser = await openBrowser(t, made.first, made.url)
  await writePairs(browser.page, { count: 5, bytes: 20_000 })
  await writePairs(browser.page, { count: 1, bytes: 120_000 })
  await browser.close()
  cpSync(made.first, made.second, { recursive: true })
  const again = await openBrowser(t, made.second, made.url)
  await writePairs(again.page, { count: 5, bytes: 20_000 })
  await again.close()
  return made
}

/** A store of RemoteAuth that keeps zips in a folder by the session that it is told, as the published ones do. `calls` are those of all methods. */
export class FolderStore {
  calls = []

  constructor(folder) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
  }

  pathOf(session) {
    return join(this.folder, `${encodeURIComponent(session)}.zip`)
  }

  async sessionExists({ session }) {
    this.calls.push(`sessionExists ${session}`)
    return readdirSync(this.folder).includes(`${encodeURIComponent(session)}.zip`)
  }

  async save({ session }) {
    this.calls.push(`save ${session}`)
    writeFileSync(this.pathOf(session), readFileSync(`${session}.zip`))
  }

  async extract({ session, path }) {
    this.calls.push(`extract ${session}`)
    writeFileSync(path, readFileSync(this.pathOf(session)))
  }

  async delete({ session }) {
    this.calls.push(`delete ${session}`)
    rmSync(this.pathOf(session), { force: true })
  }
}

/** A RemoteAuth of a version over a store, without a client. */
export function remoteAuth(t, { version = '1.34.6', dataPath, store, clientId = 'shop-7' }) {
  mkdirSync(dataPath, { recursive: true })
  const auth = new (load(version).RemoteAuth)({ clientId, dataPath, store, backupSyncIntervalMs: 60_000 })
  auth.setup({ options: { puppeteer: {} }, emit() {} })
  atEnd(t, () => auth.destroy())
  return auth
}

/** Lets the real RemoteAuth of a version save `profile` in a store. */
export async function saveWith(t, { profile, ...how }) {
  const auth = remoteAuth(t, how)
  await auth.beforeBrowserInitialized()
  rmSync(auth.userDataDir, { recursive: true, force: true })
  cpSync(profile, auth.userDataDir, { recursive: true })
  await auth.storeRemoteSession()
}

/** The bytes of the zip that the real RemoteAuth makes of a profile. */
export async function zipOf(t, profile) {
  const root = temporaryFolder(t, 'zip')
  const store = new FolderStore(join(root, 'store'))
  await saveWith(t, { profile, store, dataPath: join(root, 'auth') })
  const [name] = readdirSync(store.folder)
  return readFileSync(join(store.folder, name))
}

/** Zips of which none is a session, by their fault. */
export async function damagedZips(t, zip, profile) {
  const flipped = Buffer.from(zip)
  flipped[zip.length >> 1] ^= 1
  const lacking = async (change) => {
    const copy = join(temporaryFolder(t, 'lacking'), 'profile')
    cpSync(profile, copy, { recursive: true })
    change(copy)
    return zipOf(t, copy)
  }
  return {
    half: zip.subarray(0, zip.length >> 1),
    nothing: Buffer.alloc(0),
    flipped,
    // Whole as a zip: its database is not, as when a file went away during the copy.
    manifest: await lacking((folder) => {
      const database = join(folder, 'Default/IndexedDB')
      const leveldb = join(
        database,
        readdirSync(database).find((name) => name.endsWith('.leveldb'))
      )
      for (const name of readdirSync(leveldb).filter((name) => name.startsWith('MANIFEST'))) rmSync(join(leveldb, name))
    }),
    unpaired: await lacking((folder) => rmSync(join(folder, 'Default/IndexedDB'), { recursive: true }))
  }
}
