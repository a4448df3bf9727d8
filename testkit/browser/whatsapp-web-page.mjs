// A page in the place of web.whatsapp.com, on loopback, for the real `Client` of whatsapp-web.js: it has the modules that the client
// asks for, a device that is linked or not, and the states of a connection. It is the page of pairs as well.
//
// The modules that matter here are written out; every other one answers anything with something harmless.
//
// Invariant: the link of the device is in the profile alone, as WhatsApp's is.

import { startTls } from '../tls/https.mjs'
import { servePage } from './profile.mjs'
import { atEnd } from '../base/endings.mjs'

/** Runs in the page: it sees nothing of this module. */
function whatsapp() {
  const anything = new Proxy(function () {}, {
    get: (_, name) =>
      name === 'then' ? undefined : name === Symbol.toPrimitive ? () => 'x' : name === Symbol.iterator ? [][Symbol.iterator] : anything,
    set: () => true,
    apply: () => anything,
    construct: () => anything,
    ownKeys: () => ['prototype'],
    getOwnPropertyDescriptor: () => ({ value: anything, writable: true, enumerable: false, configurable: false })
  })
  const events = () => {
    const listeners = {}
    return {
      on: (event, listener) => void (listeners[event] ??= []).push(listener),
      off: (event, listener) => void (listeners[event] = (listeners[event] ?? []).filter((other) => other !== listener)),
      tell: (event, ...details) => (listeners[event] ?? []).forEach((listener) => listener(...details))
    }
  }
  const isLinked = () => localStorage.getItem('linked') !== null
  const socket = {
    ...events(),
    state: isLinked() ? 'CONNECTED' : 'UNPAIRED',
    logout: () => localStorage.removeItem('linked'),
    takeover() {},
    reconnect() {}
  }
  const commands = { ...events(), refreshQR() {} }
  const connection = { ...events(), ref: 'code', serialize: () => ({ pushname: 'test' }), platform: 'test' }
  const user = { user: '1', server: 'c.us', _serialized: '1@c.us' }
  const me = { getMaybeMePnUser: () => user, getMaybeMeLidUser: () => user, getMaybeMeUser: () => user, getADVSecretKey: () => 'secret' }
  const parts = {
    WAWebSocketModel: { Socket: socket },
    WAWebCmd: { Cmd: commands },
    WAWebConnModel: { Conn: connection },
    WAWebUserPrefsMeUser: me,
    WAWebUserPrefsMultiDevice: me
  }
  const registration = { waSignalStore: anything, waNoiseInfo: anything, DEVICE_PLATFORM: 'test', getADVSecretKey: () => 'secret' }
  const empty = ['WAWebCompanionRegClientUtils', 'WAWebAdvSignatureApi', 'WAWebUserPrefsInfoStore', 'WAWebSignalStoreApi']
  Object.assign(window, {
    Debug: { VERSION: '2.3000.1' },
    require: (name) => parts[name] ?? (empty.includes(name) ? registration : anything),
    whatsapp: {
      /** The phone scanned the code. */
      link() {
        localStorage.setItem('linked', 'yes')
        socket.state = 'CONNECTED'
      },
      isLinked,
      /** The application has synced, as after each load of a linked device. */
      sync: () => socket.tell('change:hasSynced'),
      /** The state of the connection changed. */
      change(state) {
        socket.state = state
        window.onAppStateChangedEvent(state)
      },
      /** The phone removed this device: the page goes back to its code. */
      unlink() {
        localStorage.removeItem('linked')
        location.href = '/?post_logout=1'
      }
    }
  })
}

/** A phone that scans each code that the client shows, and a device that syncs once it is linked. Runs in the page. */
function phone() {
  const { whatsapp } = /** @type {any} */ (window)
  let left = 60
  setInterval(() => {
    if (left > 0 && whatsapp.isLinked() && left--) return whatsapp.sync()
    // The client has this function once it waits for a code.
    if (!whatsapp.isLinked() && 'onQRChangedEvent' in window) setTimeout(() => whatsapp.link(), 1000)
  }, 1000)
}

/**
 * Serves the page; resolves to the arguments by which a Chromium takes it for web.whatsapp.com. `isScanned`: codes are scanned as they are
 * shown, for a client in another process.
 */
export async function serveWhatsApp(t, { isScanned = false } = {}) {
  const url = await servePage(t, { script: `(${whatsapp})()${isScanned ? `;(${phone})()` : ''}` })
  const tls = await startTls(url, { names: ['web.whatsapp.com'] })
  atEnd(t, () => tls.stop())
  const { port } = new URL(tls.origin)
  return [`--host-resolver-rules=MAP web.whatsapp.com:443 127.0.0.1:${port}`, '--ignore-certificate-errors']
}
