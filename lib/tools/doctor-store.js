'use strict'

// The doctor's checks of a store by itself: its abilities, its privacy, its pace, and the rules that its bucket has.
//
// Invariant: a rule that may remove live objects is never `ok`, and one that cannot be read is `unknown`.

const { stat } = require('node:fs/promises')
const { loadBinding } = require('../native.js')
const { check, counted } = require('./doctor-check.js')
const { DAY } = require('../units.js')

/** A bucket that answers slower than this holds up every open. */
const SLOW_MS = 1000

/** Steps of the core's examination -> the check and what it says when all is well. */
const STEPS = {
  reachable: ['reachable', 'the store is reachable'],
  write: ['write', 'objects can be stored and replaced'],
  list: ['list', 'objects can be listed'],
  read: ['read', 'objects can be read'],
  delete: ['delete', 'objects can be removed'],
  listAfterPut: ['list-after-put', 'a LIST shows objects stored before it'],
  clock: ['clock', 'the clocks agree']
}

/** @type {(words: string[], found: any) => any} */
function ofStep([name, well], { done, problem, ms }) {
  const outcome = done === null ? 'unknown' : done ? 'ok' : 'failed'
  return check(name, outcome, done ? well : problem, ms === null ? {} : { ms })
}

/** View of strangers: another address at which a provider gives the bucket out is asked where it is known. */
function strangers({ kind, endpoint }) {
  if (kind === 'postgres') return 'neither everybody nor the roles of a data API (anon, authenticated) can read the table'
  if (kind === 'redis') return 'the server answers nobody without a password'
  const isSeen = kind !== 's3' || endpoint === null || endpoint.endsWith('/storage/v1/s3')
  return isSeen
    ? 'the bucket is not public'
    : 'the bucket is not public at this address; other public addresses (r2.dev, a CDN, your own domain) were not checked'
}

async function privacy(native, { private: step }) {
  if (native.store.kind === 'directory') {
    const { mode } = await stat(native.store.path)
    const open = process.platform === 'win32' ? null : (mode & 0o077) !== 0
    if (open === null) return check('private', 'unknown', 'the permissions of a directory cannot be checked on this system')
    if (open) return check('private', 'warning', 'other users of this machine can list the directory (its contents are private): chmod 700')
    return check('private', 'ok', 'no other user of this machine can list the directory')
  }
  if (native.store.kind === 'memory') return check('private', 'ok', 'it is in the memory of this process')
  const found = ofStep(['private', strangers(native.store)], step)
  return found.outcome === 'failed' && native.store.allowPublic ? { ...found, outcome: 'warning' } : found
}

function latency({ latency: found }, { cloud, flushIntervalMs }) {
  if (found === null) return check('latency', 'unknown', 'not measured, because objects cannot be stored, listed and read')
  const text = `PUT ${found.put} ms, LIST ${found.list} ms, GET ${found.get} ms (median of five)`
  const more = { ms: Math.round(found.put), figures: found }
  if (cloud) {
    const waits = `in \`cloud\` mode each write waits for a PUT and a LIST, ${(found.put + found.list).toFixed(1)} ms here`
    if (found.put + found.list <= SLOW_MS) return check('latency', 'ok', `${text}: ${waits}`, more)
    return check('latency', 'warning', `${text}: ${waits}, and so does each message sent; use a closer store, or \`mode: 'hybrid'\``, more)
  }
  if (found.put + found.list > Math.max(SLOW_MS, flushIntervalMs)) {
    return check('latency', 'warning', `${text}: slower than the flush interval; a lost machine loses accordingly more`, more)
  }
  return check('latency', 'ok', text, more)
}

/** The rules that concern the objects of this package, live ones at least. */
function concerning(rules, prefix) {
  const { probeFolder } = loadBinding().constants()
  const scratch = prefix === '' ? probeFolder : `${prefix}/${probeFolder}`
  const ours = scratch.slice(0, scratch.lastIndexOf('/') + 1)
  const concerns = (start) => (start.startsWith(ours) && !start.startsWith(scratch)) || ours.startsWith(start)
  return rules.filter(({ prefixes }) => prefixes.length === 0 || prefixes.some(concerns))
}

const says = ({ days, date, fate }) => {
  const when = days === null ? `after ${date}` : `after ${counted(days, 'day')}`
  return fate === 'removed' ? `removes objects ${when}` : `moves objects ${when} to a storage class that cannot be read immediately`
}

function lifecycle({ rules }, { store, refreshIntervalMs }) {
  const name = 'lifecycle'
  if (store.kind === 'directory')
    return check(name, 'unknown', 'a directory has no lifecycle rules; make sure that nothing else removes old files from it')
  if (store.kind === 'memory') return check(name, 'ok', 'nothing is removed from memory')
  if (rules.kind === 'impossible') return check(name, 'ok', 'this kind of store has no lifecycle rules')
  if (rules.kind === 'unknown') return check(name, 'unknown', `the lifecycle rules cannot be read: ${rules.problem}`)
  const found = concerning(rules.value, store.prefix)
  if (found.length === 0) return check(name, 'ok', 'no rule of the bucket removes live objects', { rules: [] })
  const isDeadly = ({ days }) => days === null || days * DAY <= refreshIntervalMs
  const worst = found.find(isDeadly) ?? found[0]
  if (isDeadly(worst)) {
    return check(
      name,
      'failed',
      `a rule ${says(worst)}, and running sessions re-upload unchanged objects only every ${+(refreshIntervalMs / DAY).toFixed(2)} days: exclude these objects, or lower \`refreshIntervalMs\``,
      { rules: found }
    )
  }
  return check(
    name,
    'warning',
    `a rule ${says(worst)}: running sessions are re-uploaded earlier, but closed sessions are lost; exclude these objects`,
    { rules: found }
  )
}

function versioning({ versions }, { store }) {
  const name = 'versioning'
  if (store.kind === 'directory' || store.kind === 'memory' || versions.kind === 'impossible') {
    return check(name, 'ok', 'removed objects are gone: this kind of store keeps no versions')
  }
  if (versions.kind === 'unknown') return check(name, 'unknown', `the versioning of the bucket cannot be read: ${versions.problem}`)
  if (!versions.value) return check(name, 'ok', 'the bucket keeps no versions of removed objects')
  return check(
    name,
    'warning',
    'the bucket keeps versions: deleted data stays and costs storage. To delete it for good, add a rule that expires noncurrent versions'
  )
}

module.exports = { STEPS, ofStep, privacy, latency, lifecycle, versioning }
