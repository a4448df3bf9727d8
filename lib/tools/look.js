'use strict'

// Looking: how one tenant stands, and what a store says of all of them.
//
// Invariant: nothing is claimed, locked or written, but for the scratch object by which a store tells the time; what cannot be read is told as an error beside what can.

const { HybridAuthError, settle } = require('../errors.js')
const { loadBinding } = require('../native.js')

const dateOf = (ms) => (ms === null ? null : new Date(ms))
/**
 * The error that a look found, as one of ours.
 * @param {import('../../binding.js').Failure | null} failure
 * @returns {any}
 */
const errorOf = (failure) => (failure === null ? null : new HybridAuthError(failure.code, failure.message))

/**
 * Contents of a store, and of this machine, of a tenant.
 * @returns {Promise<import('../../index.js').InspectReport>}
 */
async function inspect({ resolve }, tenantId) {
  const { native, keys } = resolve(tenantId)
  const { store, local } = settle(await loadBinding().inspect(JSON.stringify(native), keys))
  return { store: store === null ? null : describeStored(store), local: local === null ? null : describeLocal(local) }
}

/** @param {import('../../binding.js').Stored} stored */
function describeStored({ claim, claimedAt, endedAt, madeAt, storedAt, error, ...rest }) {
  const times = { claimedAt: dateOf(claimedAt), endedAt: dateOf(endedAt), madeAt: dateOf(madeAt), storedAt: dateOf(storedAt) }
  return { ...rest, ...times, error: errorOf(error) }
}

/** @param {import('../../binding.js').Here} local */
const describeLocal = ({ error, ...rest }) => ({ ...rest, error: errorOf(error) })

/**
 * The listings of a store, with the text of each highest claim: for an open that must not end another owner.
 * @param {any} fleet
 * @param {Iterable<string>} [tenantIds]
 * @returns {Promise<Array<import('../../index.js').TenantStanding & { claim: string | null }>>}
 */
async function standings({ resolve, list }, tenantIds) {
  const { native, keys } = resolve('any')
  const asked = tenantIds === undefined ? null : [...tenantIds]
  const found = settle(await loadBinding().survey(JSON.stringify(native), keys, asked, list()))
  const open = new Set(list())
  return found.map((standing) => ({ ...standing, storedAt: dateOf(standing.storedAt), isOpen: open.has(standing.tenantId) }))
}

/** The time by the store's own clock, in milliseconds since 1970. Rejects with `REMOTE_REFUSED` where that says nothing of ages. */
async function clock({ resolve }) {
  const { native, keys } = resolve('any')
  return settle(await loadBinding().clock(JSON.stringify(native), keys))
}

/**
 * Standing of the tenants of a store, by its listings.
 * @param {any} fleet
 * @param {{ tenantIds?: Iterable<string> }} [options]
 * @returns {Promise<import('../../index.js').TenantStanding[]>}
 */
async function survey(fleet, { tenantIds } = {}) {
  return (await standings(fleet, tenantIds)).map(({ claim, ...standing }) => standing)
}

module.exports = { clock, inspect, standings, survey }
