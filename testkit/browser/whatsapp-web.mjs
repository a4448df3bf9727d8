// whatsapp-web.js in tests: its six versions, and a client that calls an auth strategy as theirs do, over a page on loopback.
//
// The client calls the nine hooks in the order of `Client.js` 1.34.7, and awaits what that awaits. Whether the installed versions still
// call these nine is tested in `__test__/profile/hooks.test.mjs`.
//
// Invariant: a browser that a client started is gone when the test is.

import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { BROWSER_ARGS, killGroup, readPairs, servePage } from './profile.mjs'
import { chromiumPath } from './chromium.mjs'
import { atEnd } from '../base/endings.mjs'
import { KEY, contentsOf, scene } from '../processes/sessions.mjs'

const require = createRequire(import.meta.url)

/** Versions whose RemoteAuth differs in its names and places, or its hooks. */
export const VERSIONS = ['1.23.0', '1.27.0', '1.34.4', '1.34.5', '1.34.6', '1.34.7']
export const packageOf = (version) => `wwebjs-${version.replaceAll('.', '-')}`
export const load = (version) => require(packageOf(version))

/** The entry under test. */
export const whatsappWeb = require('../../whatsapp-web/index.js')

/** Options of a strategy or a store over the bucket of a scene, with paces that do not make a test wait. */
export const optionsOf = (at) => ({
  store: at.replicated.store,
  encryptionKeys: [KEY],
  ownershipCheckIntervalMs: 200,
  handoverTimeoutMs: 60_000,
  closeTimeoutMs: 60_000
})

/** States that do not end a client. */
const ACCEPTED = ['CONNECTED', 'OPENING', 'PAIRING', 'TIMEOUT']

/** A client of one page. `page` is that of `profile.mjs`; everything else is called as by the real one. */
export class SmallClient extends EventEmitter {
  pupBrowser = null
  pupPage = null
  events = []

  constructor(t, { authStrategy, url, puppeteer = {} }) {
    super()
    this.url = url
    this.options = { puppeteer: { executablePath: chromiumPath(), headless: true, args: BROWSER_ARGS.slice(1), ...puppeteer } }
    this.authStrategy = authStrategy
    this.authStrategy.setup(this)
    atEnd(t, () => this.kill())
    atEnd(t, () => this.authStrategy.destroy())
  }

  emit(event, ...details) {
    this.events.push([event, ...details].join(' '))
    return super.emit(event, ...details)
  }

  async initialize({ isPaired = true } = {}) {
    await this.authStrategy.beforeBrowserInitialized()
    this.pupBrowser = await require('puppeteer').launch(this.options.puppeteer)
    this.pupPage = (await this.pupBrowser.pages())[0]
    await this.authStrategy.afterBrowserInitialized()
    await this.pupPage.goto(this.url)
    await this.pupPage.evaluate('window.isReady')
    if (isPaired) await this.ready()
    else await this.needsPairing()
  }

  async needsPairing() {
    await this.authStrategy.onAuthenticationNeeded()
    this.emit('qr', 'code')
  }

  async ready() {
    this.emit('authenticated', await this.authStrategy.getAuthEventPayload())
    this.emit('ready')
    this.authStrategy.afterAuthReady()
  }

  /** WhatsApp told of another state of the connection. */
  async changeState(state) {
    this.emit('change_state', state)
    if (ACCEPTED.includes(state)) return
    await this.authStrategy.disconnect()
    this.emit('disconnected', state)
    await this.destroy()
  }

  /** The page went to the screen with the QR code by itself. */
  async loggedOutByPhone() {
    this.emit('disconnected', 'LOGOUT')
    await this.authStrategy.logout()
    await this.authStrategy.beforeBrowserInitialized()
    await this.authStrategy.afterBrowserInitialized()
    await this.needsPairing()
  }

  async logout() {
    await this.pupBrowser.close()
    await this.authStrategy.logout()
  }

  async destroy() {
    if (this.pupBrowser?.isConnected()) await this.pupBrowser.close()
    await this.authStrategy.destroy()
  }

  /** The machine is lost: nobody is told. */
  kill() {
    return killed(this.pupBrowser)
  }
}

/** Ends a browser of Puppeteer, which leads a group, with all of its processes. */
export async function killed(browser) {
  const child = browser?.process()
  if (!child) return
  const ended = child.exitCode !== null || child.signalCode !== null ? null : new Promise((resolve) => child.once('exit', () => resolve()))
  killGroup(child)
  await ended
}

/** A scene whose machines run clients of one session: `client(name)` is a new client on the machine of that name. */
export async function clients(t) {
  const at = scene(t)
  const url = await servePage(t)
  const dataPathOf = (name) => join(at.root, name, 'auth')
  return {
    at,
    url,
    dataPathOf,
    folderOf: (name) => join(dataPathOf(name), 'RemoteAuth-shop-7'),
    client(name, options = {}) {
      const news = []
      const onEvent = ({ event, error }) => news.push(error === undefined ? event : `${event} ${error.code}`)
      const authStrategy = new whatsappWeb.HybridAuth({
        clientId: 'shop-7',
        dataPath: dataPathOf(name),
        ...optionsOf(at),
        onEvent,
        ...options
      })
      return Object.assign(new SmallClient(t, { authStrategy, url }), { news })
    }
  }
}

/** The pairs of a client; local storage may be some seconds behind after a kill. */
export const pairsOf = async (client) => {
  const { local: _, ...pairs } = await readPairs(client.pupPage)
  return pairs
}
/** All pairs up to this one. */
export const whole = (newest) => ({ count: newest, newest, isEqual: true })
/** Names in the bucket. */
export const objectsOf = (at) => Object.keys(contentsOf(at.bucket))
/** True if nothing is left but claims and marks. */
export const isLogout = (at) => objectsOf(at).every((name) => !/packs|segments|bases/.test(name))
