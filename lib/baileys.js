'use strict'

// Finds the installed Baileys, under either of its names and in either module system.
//
// Invariant: Baileys is never imported when this package is loaded, only when a session is opened; and then it is the same
// copy that the application imports, since a module is identified by its file. Where there is none, all that an auth state
// needs of it can be passed in or is done here, except `initAuthCreds`, which signs a pre-key and is not imitated.

const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname, join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { ownFields } = require('./checks.js')
const { HybridAuthError } = require('./errors.js')
const { textOf } = require('./outside.js')

const NAMES = ['baileys', '@whiskeysockets/baileys']

/** The form that both lines write: bytes as {"type": "Buffer", "data": base64}; something already in that shape is encoded again. */
const replacer = (_, value) =>
  value instanceof Uint8Array || value?.type === 'Buffer'
    ? { type: 'Buffer', data: Buffer.from(value.data || value).toString('base64') }
    : value

const isObject = (value) => typeof value === 'object' && value !== null

/** BufferJSON in effect as Baileys 7 has it: the default where no Baileys is installed. */
const bufferJsonV7 = Object.freeze({
  replacer,
  reviver: (_, value) => {
    if (!isObject(value)) return value
    if (value.type === 'Buffer' && typeof value.data === 'string') return Buffer.from(value.data, 'base64')
    if (Array.isArray(value)) return value
    const keys = Object.keys(value)
    const looksLikeBytes = keys.length > 0 && keys.every((key) => !isNaN(parseInt(key, 10)) && typeof value[key] === 'number')
    return looksLikeBytes ? Buffer.from(Object.values(value)) : value
  }
})

/** BufferJSON in effect as Baileys 6 has it. */
const bufferJsonV6 = Object.freeze({
  replacer,
  reviver: (_, value) => {
    if (!isObject(value) || !(value.buffer === true || value.type === 'Buffer')) return value
    const data = value.data || value.value
    return typeof data === 'string' ? Buffer.from(data, 'base64') : Buffer.from(data || [])
  }
})

/** The work of `fromObject` for Baileys, which reads nothing of this value but `keyData`, and needs that as bytes. */
function keyDataToBytes(value) {
  return isObject(value) && typeof value.keyData === 'string' ? { ...value, keyData: Buffer.from(value.keyData, 'base64') } : value
}

/** A member of a namespace, wherever the module system put it: 6.17 has `proto` only on the default export. */
function member(namespace, name) {
  for (const holder of [namespace, namespace?.default, namespace?.default?.default]) {
    if (holder?.[name] !== undefined) return holder[name]
  }
  return undefined
}

/** Members of a Baileys namespace that are used here; those it lacks are undefined. */
function describe(namespace) {
  const bufferJson = member(namespace, 'BufferJSON')
  const keyData = member(namespace, 'proto')?.Message?.AppStateSyncKeyData
  const init = member(namespace, 'initAuthCreds')
  return {
    initAuthCreds: typeof init === 'function' ? init : undefined,
    BufferJSON: isBufferJson(bufferJson) ? bufferJson : undefined,
    appStateSyncKeyFromObject: typeof keyData?.fromObject === 'function' ? (value) => keyData.fromObject(value) : undefined
  }
}

const isBufferJson = (candidate) => typeof candidate?.replacer === 'function' && typeof candidate?.reviver === 'function'

/** The file that `import` takes for a package whose `exports` leave `require` no door. */
function importTarget(exported) {
  if (typeof exported === 'string') return exported
  if (Array.isArray(exported)) return importTarget(exported[0])
  if (!isObject(exported)) return undefined
  if ('.' in exported) return importTarget(exported['.'])
  for (const [condition, target] of Object.entries(exported)) {
    if (['node', 'import', 'module-sync', 'default'].includes(condition)) return importTarget(target)
  }
  return undefined
}

/** The entry file of package `name` as seen from the file `from`, or undefined when it is not installed there. */
function locate(name, from) {
  const require = createRequire(from)
  try {
    return require.resolve(name)
  } catch (error) {
    if (error.code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') return undefined
  }
  for (const folder of require.resolve.paths(name) || []) {
    try {
      const target = importTarget(JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')).exports)
      if (target !== undefined) return join(folder, name, target)
    } catch {
      // not in this folder: go on outwards, as Node does
    }
  }
  return undefined
}

/** Files to look from: this package, the working directory, the program's main module. */
function viewpoints() {
  const points = [__filename, join(process.cwd(), 'index.js')]
  const main = require.main?.filename || process.argv[1]
  if (main) points.push(join(dirname(main), 'index.js'))
  return points
}

/** By `import`, which takes both module systems; test runners that cannot import may still be able to require. */
async function load(file) {
  try {
    return await import(pathToFileURL(file).href)
  } catch (error) {
    try {
      return require(file)
    } catch {
      throw error
    }
  }
}

async function search(names, points) {
  let failure
  const tried = new Set()
  for (const point of points) {
    for (const name of names) {
      const file = locate(name, point)
      if (file === undefined || tried.has(file)) continue
      tried.add(file)
      try {
        const found = describe(await load(file))
        if (found.initAuthCreds && found.BufferJSON) return { found, failure: undefined }
        failure ??= new Error(`${name} exports no initAuthCreds or no BufferJSON`)
      } catch (error) {
        failure ??= error
      }
    }
  }
  return { found: null, failure }
}

let searching

const searched = () => (searching ??= search(NAMES, viewpoints()))

/**
 * The installed Baileys, looked for once per process.
 * @returns {Promise<{initAuthCreds: Function, BufferJSON: object, appStateSyncKeyFromObject?: Function} | null>}
 */
async function findBaileys() {
  return (await searched()).found
}

const isPromise = (value) => typeof value?.then === 'function'

const NO_NAMESPACE = "baileys must be the namespace of a Baileys package: `baileys: await import('your-fork')`"

/** Parts of Baileys that the options hold, checked; a namespace that is promised is not there yet. */
function givenOf(all) {
  const options = ownFields(all)
  const isThere = options.baileys !== undefined && !isPromise(options.baileys)
  const given = isThere ? describe(options.baileys) : {}
  if (isThere && !given.initAuthCreds) throw new HybridAuthError('INVALID_OPTION', NO_NAMESPACE)
  if (options.BufferJSON !== undefined && !isBufferJson(options.BufferJSON)) {
    throw new HybridAuthError('INVALID_OPTION', 'BufferJSON must have a replacer and a reviver')
  }
  if (options.initAuthCreds !== undefined && typeof options.initAuthCreds !== 'function') {
    throw new HybridAuthError('INVALID_OPTION', 'initAuthCreds must be a function')
  }
  return { given, init: options.initAuthCreds ?? given.initAuthCreds, bufferJson: options.BufferJSON ?? given.BufferJSON }
}

/** The options, with the namespace in place of the promise of one. */
async function withNamespace(options) {
  const own = ownFields(options)
  if (!isPromise(own.baileys)) return own
  try {
    return { ...own, baileys: await own.baileys }
  } catch (error) {
    throw new HybridAuthError('INVALID_OPTION', `\`baileys\` cannot be imported: ${textOf(error)}`, error)
  }
}

/**
 * Members of Baileys that a session needs: `options.initAuthCreds` and `options.BufferJSON` first, then the namespace
 * `options.baileys` (or the promise of one), then the installed package, then what can be done without one.
 * Never fails for want of Baileys: `initAuthCreds` then throws INVALID_OPTION when a fresh session needs it.
 */
async function resolveBaileys(options = {}) {
  const { given, init, bufferJson } = givenOf(await withNamespace(options))
  const complete = init && bufferJson && given.appStateSyncKeyFromObject
  const { found, failure } = complete ? {} : await searched()
  return {
    initAuthCreds: init ?? found?.initAuthCreds ?? (() => refuse(failure)),
    BufferJSON: bufferJson ?? found?.BufferJSON ?? bufferJsonV7,
    appStateSyncKeyFromObject: given.appStateSyncKeyFromObject ?? found?.appStateSyncKeyFromObject ?? keyDataToBytes
  }
}

function refuse(failure) {
  const reason = failure
    ? `Baileys was found but cannot be loaded (${textOf(failure).split('\n')[0]})`
    : `neither ${NAMES.join(' nor ')} is installed`
  throw new HybridAuthError(
    'INVALID_OPTION',
    `a new session needs Baileys, and ${reason}: pass \`baileys: await import('your-fork')\``,
    failure
  )
}

module.exports = { findBaileys, givenOf, resolveBaileys, bufferJsonV6, bufferJsonV7, locate }
