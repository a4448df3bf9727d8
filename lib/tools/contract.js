'use strict'

// The contract of a store: each behaviour that the engine relies on, tried on the configured store.
//
// Invariants: everything happens in a folder of its own, which the core makes up, guards and removes again; no session is claimed or read.
// An entry that could not be tried is `unknown`, and never `ok`.

const { rmdir } = require('node:fs/promises')
const { join } = require('node:path')
const { settle } = require('../errors.js')
const { loadBinding } = require('../native.js')
const { each } = require('../pool.js')
const { ENTRIES, Broken } = require('./contract-entries.js')

/** Requests of an entry at once. */
const AT_ONCE = 32
/** Names that one removal takes. */
const REMOVED_AT_ONCE = 500

/** Checks without which a trial proves nothing, or would leave its objects behind. */
const NEEDED = ['reachable', 'write', 'list', 'read', 'delete']

/** The store, as far as a trial reaches: one folder, over two connections. */
class Trial {
  #binding = loadBinding()
  #number
  /** Folders below that of the trial -> the names stored in each. */
  #stored = new Map()

  constructor({ trial, folder }, store, clock) {
    this.#number = trial
    this.folder = folder
    this.kind = store.kind
    this.clock = clock
    /** Memory has one connection only. */
    this.hasTwo = store.kind !== 'memory'
  }

  #keep(name) {
    const at = name.lastIndexOf('/')
    const [folder, file] = [name.slice(0, at), name.slice(at + 1)]
    if (!this.#stored.has(folder)) this.#stored.set(folder, new Set())
    this.#stored.get(folder).add(file)
  }

  async put(name, bytes, { second = false } = {}) {
    this.#keep(name)
    settle(await this.#binding.scratchPut(this.#number, second, name, bytes))
  }

  /** Names in `folder` right after an object was stored in it, in the same exchange; `null` where the store has no such exchange. */
  async putThenList(folder, name, bytes) {
    this.#keep(`${folder}/${name}`)
    return settle(await this.#binding.scratchPutThenList(this.#number, `${folder}/${name}`, bytes, folder))
  }

  async get(name, { second = false } = {}) {
    return settle(await this.#binding.scratchGet(this.#number, second, name))
  }

  async list(folder, prefix = '', { second = false } = {}) {
    return settle(await this.#binding.scratchList(this.#number, second, folder, prefix))
  }

  async details(folder) {
    return settle(await this.#binding.scratchDetails(this.#number, folder))
  }

  async remove(names) {
    settle(await this.#binding.scratchRemove(this.#number, names))
  }

  /** `work` of each item, many at once. */
  async all(items, work) {
    await each(items, AT_ONCE, work)
  }

  /** Removes everything that was stored, and whatever else lies in its folders, such as parts. Resolves to the number of objects left. */
  async clean() {
    let left = 0
    for (const [folder, names] of this.#stored) {
      const found = await this.list(folder)
      const all = [...new Set([...names, ...found])].map((name) => `${folder}/${name}`)
      for (let at = 0; at < all.length; at += REMOVED_AT_ONCE) await this.remove(all.slice(at, at + REMOVED_AT_ONCE))
      left += (await this.list(folder)).length
    }
    return left
  }

  /** The empty folders of a store that is a directory. */
  async removeFolders(root) {
    const deepestFirst = [...this.#stored.keys()].flatMap((folder) =>
      folder.split('/').map((_, at, parts) => parts.slice(0, at + 1).join('/'))
    )
    const all = [...new Set(deepestFirst)].sort((a, b) => b.split('/').length - a.split('/').length)
    // A folder that another process just removed, or wrote to, stays as it is.
    for (const folder of [...all, '']) await rmdir(join(root, this.folder, folder)).catch(() => {})
  }

  end() {
    this.#binding.scratchEnd(this.#number)
  }
}

const check = (name, outcome, message, more) => ({ name: `contract-${name}`, outcome, message, ...more })

async function tried({ name, well, run }, trial) {
  const began = performance.now()
  const took = () => ({ ms: Math.round((performance.now() - began) * 10) / 10 })
  try {
    const said = (await run(trial, name)) ?? {}
    if (said.unknown !== undefined) return check(name, 'unknown', said.unknown)
    return check(name, 'ok', said.well ?? well, took())
  } catch (error) {
    const message = error instanceof Broken ? error.message : `the store refused a request of this check: ${error.message}`
    return check(name, 'failed', message, took())
  }
}

const CLEAN = 'clean'

async function cleaned(trial, store) {
  const began = performance.now()
  const by = `remove the folder \`${trial.folder}\` below the prefix of the store yourself; no session is in it`
  try {
    const left = await trial.clean()
    if (store.kind === 'directory') await trial.removeFolders(store.path)
    const more = { ms: Math.round((performance.now() - began) * 10) / 10, folder: trial.folder }
    if (left === 0) return check(CLEAN, 'ok', 'nothing is left of this trial', more)
    return check(CLEAN, 'failed', `${left} of the objects of this trial were not removed: ${by}`, { ...more, left })
  } catch ({ message }) {
    return check(CLEAN, 'failed', `the objects of this trial could not be removed (${message}): ${by}`, { folder: trial.folder })
  }
}

/**
 * Tries the contract, one entry after the other.
 * @param {any} native resolved options with a store
 * @param {any[]} checks those of the doctor so far
 * @param {typeof ENTRIES} [entries]
 */
async function contract(native, checks, entries = ENTRIES) {
  const outcomeOf = (name) => checks.find((check) => check.name === name)?.outcome
  const missing = NEEDED.filter((name) => outcomeOf(name) !== 'ok')
  if (missing.length > 0) {
    const why = `not tested, because ${missing.map((name) => `\`${name}\``).join(', ')} must be ok first`
    return [...entries.map(({ name }) => name), CLEAN].map((name) => check(name, 'unknown', why))
  }
  const begun = settle(await loadBinding().scratchBegin(JSON.stringify(native.store)))
  const trial = new Trial(
    begun,
    native.store,
    checks.find(({ name }) => name === 'clock')
  )
  try {
    const results = []
    for (const entry of entries) results.push(await tried(entry, trial))
    return [...results, await cleaned(trial, native.store)]
  } finally {
    trial.end()
  }
}

module.exports = { contract }
