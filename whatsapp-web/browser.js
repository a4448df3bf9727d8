'use strict'

// The browser of a client of whatsapp-web.js: its process, whether that runs, and its end.
//
// Invariants: nothing here throws, whatever a client or its Puppeteer is; only the process that Puppeteer started is ever ended, and by
// its handle: a number may belong to another process meanwhile.

/** The process of a browser that Puppeteer started; null for none. */
function processOf(browser) {
  try {
    const child = browser?.process?.()
    return Number.isSafeInteger(child?.pid) ? child : null
  } catch {
    return null
  }
}

/** True until a process has ended. */
const isRunning = (child) => child !== null && child.exitCode === null && child.signalCode === null

/** Ends a browser at once, as a power cut does. */
function kill(child) {
  try {
    if (isRunning(child)) child.kill('SIGKILL')
  } catch {
    // It ended by itself.
  }
}

module.exports = { processOf, isRunning, kill }
