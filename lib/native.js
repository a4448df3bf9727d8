'use strict'

// Loading the native part of this package.
//
// Invariant: it is loaded when the first session is opened, so that importing this package costs nothing and cannot fail; and
// a failure to load it says what to install, as the error of an open like any other.

const { HybridAuthError } = require('./errors.js')

/** The messages of an error and of all that caused it. The loader gives each place it looked at as a cause of the next. */
function reasonsOf(error) {
  const reasons = []
  for (let at = error; at instanceof Error; at = at.cause) reasons.push(at.message.split('\n')[0])
  return reasons
}

/** The package that holds the native part for this platform, as the loader looked for it. */
function packageIn(reasons) {
  const names = reasons.map((reason) => reason.match(/^Cannot find module '(baileys-hybrid-auth-[a-z0-9-]+)'/)?.[1])
  return names.find((name) => name !== undefined && !name.includes('wasm'))
}

function loadBinding() {
  try {
    return require('../binding.js')
  } catch (error) {
    const reasons = reasonsOf(error)
    const missing = packageIn(reasons)
    const broken = reasons.slice(1).find((reason) => !reason.startsWith('Cannot find module'))
    const what =
      broken === undefined && missing !== undefined
        ? `is not installed: run \`npm install ${missing}\`, or install again with optional dependencies`
        : `cannot be loaded on ${process.platform} ${process.arch}: ${broken ?? reasons[0]}`
    throw new HybridAuthError('INTERNAL', `the native part of baileys-hybrid-auth ${what}`, error)
  }
}

module.exports = { loadBinding }
