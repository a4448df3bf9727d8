'use strict'

// The fleet: the same options for many tenants.
//
// Invariants: the options of an open go before those of the fleet. `OpenSessions` alone knows what is open; the tools in `lib/tools/` get
// a view of the fleet, and no more.

const { resolve } = require('node:path')
const { choice, fieldsOf } = require('../checks.js')
const { HybridAuthError, settle, unreadable, withTypedErrors } = require('../errors.js')
const { exportTree } = require('../multi-file/export-tree.js')
const { call } = require('../core.js')
const { knownSessions, knownTenants } = require('./known-tenants.js')
const { loadBinding } = require('../native.js')
const { OpenSessions } = require('./open-sessions.js')
const { resolveOptions } = require('../config/options.js')
const { isProfileTenant } = require('../profile-tenants.js')
const { collectInto, metricsText } = require('../metrics/prometheus.js')
const { restoreAll } = require('./restore-all.js')
const { limitOf } = require('../session/session.js')
const { summarize } = require('../session/status.js')
const { prune, rekey } = require('../tools/change.js')
const { doctor } = require('../tools/doctor.js')
const { inspect, standings, survey } = require('../tools/look.js')
const { drill, extract } = require('../tools/dump.js')
const { FORMATS, exportProfile, nameOf, writeProfile } = require('../tools/export-profile.js')

/** Options, and those that go before them. */
function together(...options) {
  try {
    return Object.assign({}, ...options)
  } catch (error) {
    throw unreadable('an option', error)
  }
}

/** `judging(fleet, claim)`: the same fleet for a tool that judged a claim. What it opens goes on right after that one, or is left alone. */
let judging
/** `listed(fleet, tenantIds)`: what the listings of its store say, with the text of each highest claim. */
let listed

class HybridAuth {
  #options
  #sessions
  #inner

  /**
   * @param {any} [options]
   * @param {{ ended?: (tenantId: string) => void, inner?: object }} [how] `ended`, for those that keep books of their own: no session of
   *   the tenant is open here any more. `inner` is given to the core with each open, beside its options.
   */
  constructor(options = {}, { ended = () => {}, inner = {} } = {}) {
    this.#options = together(options)
    this.#sessions = new OpenSessions(ended)
    this.#inner = inner
  }

  static {
    judging = (fleet, expected) => new HybridAuth(fleet.#options, { inner: { expected } })
    listed = (fleet, tenantIds) => standings(fleet.#tools(), tenantIds)
  }

  async open(tenantId, overrides = {}) {
    return this.#sessions.open(tenantId, together(this.#options, overrides), this.#inner)
  }

  /** The session of a tenant that was opened here last, or undefined. */
  get(tenantId) {
    return this.#sessions.get(tenantId)
  }

  /** Tenants that are open here. */
  list() {
    return this.#sessions.list()
  }

  /** Tenants that are being opened here. */
  opening() {
    return this.#sessions.opening()
  }

  /** tenant id -> status. One that is being closed at the moment has none. */
  status() {
    return this.#sessions.status()
  }

  /** The statuses as one. */
  summary() {
    return summarize(Object.values(this.status()))
  }

  /** The metrics of this process, as Prometheus reads them. */
  async metrics(options) {
    return metricsText(options)
  }

  /** Registers the metrics of this process in a registry of prom-client, and gives it back. */
  collectInto(registry, options) {
    return collectInto(registry, options)
  }

  /** The core's description of the store of this fleet. */
  #store() {
    const { store } = resolveOptions('any', this.#options).native
    if (store === null) throw new HybridAuthError('INVALID_OPTION', 'this fleet has no `store`')
    return JSON.stringify(store)
  }

  /** Ids of the tenants that have a session in the store or, without one, in the directory; in order. */
  async tenants() {
    return (await knownTenants(this.#options)).tenants
  }

  /**
   * Checks all that the store holds of a tenant, without claiming or writing anything.
   * @returns {Promise<import('../../index.js').VerifyReport>}
   */
  async verify(tenantId) {
    const { native, keys } = resolveOptions(tenantId, this.#options)
    return settle(await loadBinding().verify(JSON.stringify(native), keys))
  }

  /**
   * Requests and bytes between this process and the store so far; null before the first.
   * @returns {import('../../index.js').StoreTraffic | null}
   */
  traffic() {
    return call(loadBinding().traffic, this.#store())
  }

  /** Opens every tenant of the store, or those named, a few at a time. */
  async restoreAll(how) {
    const refusal = this.#sessions.refusal()
    return restoreAll(
      { known: () => knownSessions(this.#options), open: (tenantId, overrides) => this.open(tenantId, overrides), refusal },
      how
    )
  }

  /** Logs a tenant out for good. One that never was leaves nothing behind, not even a tombstone. */
  async delete(tenantId) {
    // Keys without credentials are none to go on with, and are deleted all the same.
    const session = this.get(tenantId) ?? (await this.#existing(tenantId))
    await session?.delete()
    await Promise.all(this.#sessions.all(tenantId).map((other) => other.close()))
  }

  /** The session of a tenant, opened; null where there is none. */
  async #existing(tenantId) {
    try {
      return await this.#sessions.open(tenantId, together(this.#options, { onMissing: 'error' }), { ...this.#inner, withoutCreds: true })
    } catch (error) {
      // A caller that wants an error for a missing session gets it here too.
      if (error.code === 'NOT_FOUND' && this.#options.onMissing !== 'error') return null
      throw error
    }
  }

  /** Does something with the open session of a tenant, or with one that is opened for it and closed again. */
  async #using(tenantId, work) {
    const open = this.get(tenantId)
    if (open) return work(open)
    const session = await this.open(tenantId, { onMissing: 'error' })
    try {
      return await work(session)
    } finally {
      await session.close()
    }
  }

  /** View of this fleet for the tools in `lib/tools/`. */
  #tools() {
    return {
      options: this.#options,
      resolve: (tenantId) => resolveOptions(tenantId, this.#options),
      inner: this.#inner,
      list: () => this.list(),
      get: (tenantId) => this.get(tenantId),
      openInner: (tenantId, overrides, inner) => this.#sessions.open(tenantId, together(this.#options, overrides), inner)
    }
  }

  /** Standing of a tenant, in the store and on this machine. */
  async inspect(tenantId) {
    return inspect(this.#tools(), tenantId)
  }

  /** Standing of the tenants of the store, by its listings. */
  async survey(options) {
    return survey(this.#tools(), options)
  }

  /** Writes what a blank machine would restore as a multi-file folder. */
  async extract(tenantId, folder, options) {
    return extract(this.#tools(), tenantId, folder, options)
  }

  /** Restores a tenant into a scratch folder, and compares. */
  async drill(tenantId, options) {
    return drill(this.#tools(), tenantId, options)
  }

  /** Looks for problems of the store and of its use. */
  async doctor(options) {
    return doctor(this.#tools(), fieldsOf(options, '`doctor`', 'dataPath', 'contract'))
  }

  /** Seals all that is kept of a tenant with the first key. */
  async rekey(tenantId, options) {
    return rekey(this.#tools(), tenantId, options)
  }

  /** Deletes tenants that were not written for long, or says which. */
  async prune(options) {
    return prune(this.#tools(), options)
  }

  /**
   * Writes every tenant of the store, or those named, as a tree of multi-file folders; profiles of browsers in the form `profiles`.
   * @param {string} folder
   * @param {import('../../index.js').ExportAllOptions} [options]
   */
  async exportAll(folder, { tenantIds, profiles, ...how } = {}) {
    const format = choice({ value: profiles, from: '`profiles`' }, null, FORMATS)
    const known = format === null ? knownSessions : knownTenants
    const { tenants, unnamed } = tenantIds === undefined ? await known(this.#options) : { tenants: tenantIds, unnamed: 0 }
    const isProfile = (tenantId) => format !== null && isProfileTenant(tenantId)
    const write = (tenantId, place, { overwrite }) =>
      isProfile(tenantId)
        ? writeProfile(this.#tools(), tenantId, resolve(place), { format, overwrite })
        : this.exportMultiFile(tenantId, place, { overwrite })
    const ownName = (tenantId) => (isProfile(tenantId) ? nameOf(tenantId, format) : null)
    return { ...(await exportTree(folder, [...tenants], write, { ...how, ownName })), unnamed }
  }

  /** Writes the profile of a browser as a folder of LocalAuth, or as a zip of RemoteAuth. */
  async exportProfile(tenantId, folder, options) {
    return exportProfile(this.#tools(), tenantId, folder, options)
  }

  exportMultiFile(tenantId, folder, options) {
    return this.#using(tenantId, (session) => session.exportMultiFile(folder, options))
  }

  /** Removes keys that nobody can be waiting for any more; only tells them unless `dryRun` is false. */
  pruneKeys(tenantId, options) {
    return this.#using(tenantId, (session) => session.pruneKeys(options))
  }

  /** Closes everything, in parallel. What did not reach the store in time is named, and is in the local logs where there are any. */
  async shutdown(how) {
    return this.#sessions.shutDown(limitOf(how, '`shutdown`', undefined))
  }
}

// Node 20 has it since 20.4.
if (Symbol.asyncDispose !== undefined) {
  HybridAuth.prototype[Symbol.asyncDispose] = async function () {
    await this.shutdown()
  }
}

withTypedErrors(HybridAuth.prototype)

/**
 * `exportMultiFile(tenantId, folder, options)` for a tenant that need not be open.
 * @param {string} tenantId
 * @param {string} folder
 * @param {import('../../index.js').HybridAuthOptions & { overwrite?: boolean }} [given]
 */
async function exportMultiFile(tenantId, folder, { overwrite, ...options } = {}) {
  if (typeof folder !== 'string' || folder === '') throw new HybridAuthError('INVALID_OPTION', 'exportMultiFile takes the path of a folder')
  return new HybridAuth(options).exportMultiFile(tenantId, folder, { overwrite })
}

module.exports = { HybridAuth, exportMultiFile, judging, listed }
