// Helpers for the tests of settings: what an open makes of options and variables, what `describeConfig` says of them, and two values for
// every option that a text can hold.
//
// Invariant: nothing of the environment of this process is read.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { KEY, OTHER_KEY, hybrid } from '../../testkit/processes/sessions.mjs'

const require = createRequire(import.meta.url)
const { resolveOptions } = require('../../lib/config/options.js')

const { describeConfig } = hybrid

const HOME = { HOME: '/nowhere' }

export const resolved = (options = {}, env = {}) => resolveOptions('tenant', options, { ...HOME, ...env })

export const described = (options = {}, env = {}) => describeConfig(options, { ...HOME, ...env })

export function refusal(what, work) {
  let value
  try {
    value = work()
  } catch (error) {
    assert.equal(error.code, 'INVALID_OPTION', `${what}: ${error.stack}`)
    return error.message
  }
  return assert.fail(`${what} was accepted: ${JSON.stringify(value)}`)
}

/** option -> [as an option, in a variable, as it counts], two of each; and a text that is wrong in a variable. */
export const VALUES = {
  directory: [
    ['/a', '/a', '/a'],
    ['/b', '/b', '/b']
  ],
  store: [['memory://a', 'memory://a', 'memory://a'], ['memory://b', 'memory://b', 'memory://b'], 'nothing'],
  mode: [['local', 'local', 'local'], ['hybrid', 'hybrid', 'hybrid'], 'both'],
  encryptionKeys: [
    [[KEY], KEY, ['b4b16711355b45d6']],
    [[OTHER_KEY, KEY], `${OTHER_KEY}, ${KEY}\n`, ['495f50ee9dc00f20', 'b4b16711355b45d6']],
    'short'
  ],
  encryption: [['on', 'on', 'on'], ['off', 'off', 'off'], 'none'],
  flushIntervalMs: [[10, '10', 10], [20, '20', 20], '1s'],
  localDurability: [['os', 'os', 'os'], ['data', 'data', 'data'], 'disk'],
  ownershipCheckIntervalMs: [[100, '100', 100], [200, '200', 200], '1'],
  handoverTimeoutMs: [[0, '0', 0], [7, '7', 7], '-1'],
  refreshIntervalMs: [[1000, '1000', 1000], [2000, '2000', 2000], '7d'],
  closeTimeoutMs: [[0, '0', 0], [1, '1', 1], 'x'],
  flushTimeoutMs: [[0, '0', 0], [1, '1', 1], 'x'],
  onMissing: [['create', 'create', 'create'], ['error', 'error', 'error'], 'fail'],
  onLeaseLost: [['continue', 'continue', 'continue'], ['stop', 'stop', 'stop'], 'wait'],
  hideTenantIds: [[false, 'no', false], [true, ' TRUE ', true], '2'],
  acceptUnencrypted: [[false, '0', false], [true, '1', true], 'maybe'],
  allowPublicBucket: [[false, 'off', false], [true, 'on', true], 'ja'],
  maxConcurrentRequests: [[1, '1', 1], [2, '2', 2], '0']
}

export const TEXTS = Object.keys(VALUES)
