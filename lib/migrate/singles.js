'use strict'

// Files of `useSingleFileAuthState` in a source: a whole session in one file, wherever it lies and whatever it is called.
//
// Invariants: what belongs to a session in a folder is never read as one of these; a file is one by what is in it, and one that is
// damaged is reported, not passed over. Files that are no sessions are read once and forgotten.

const { CREDS, CREDS_COPIES, KEYS_FILE, PARALLEL, familiesWith, parseName } = require('../multi-file/names.js')
const { each } = require('../pool.js')
const { isLikeSingleFile } = require('../multi-file/single-file.js')
const { fileOf } = require('./layouts.js')
const { jsonText } = require('./read.js')

const LAYOUT = 'single-file'

/** Most files of unknown kind that are read unasked: a bucket may be full of others. */
const MOST = 1000

const RESERVED = new Set([CREDS, ...CREDS_COPIES, KEYS_FILE])
const families = familiesWith()

const mayBe = (name) => name.endsWith('.json') && !RESERVED.has(fileOf(name)) && parseName(fileOf(name), families) === null

/** The session in the file `path`, in the shape of `sessionAt`. */
const singleAt = (path) => ({
  path,
  parts: path.slice(0, -'.json'.length).split('/'),
  layout: LAYOUT,
  creds: undefined,
  credsCopies: [],
  keys: [],
  copies: [],
  keysFile: undefined,
  single: path,
  notUnderstood: 0,
  otherFiles: 0,
  problem: null
})

/**
 * Sessions among `names`, which belong to no folder of a session. More than a thousand files are not searched, unless the layout is
 * asked for; `unsearched` is their number.
 */
async function findSingles(source, names, keys, isAsked) {
  const candidates = names.filter(mayBe)
  if (!isAsked && candidates.length > MOST) return { singles: [], unsearched: candidates.length }
  const found = []
  await each(candidates, PARALLEL, async (name) => {
    const bytes = await source.read(name)
    if (bytes !== null && isLikeSingleFile(jsonText(bytes, keys))) found.push(singleAt(name))
  })
  return { singles: found.sort((a, b) => (a.path < b.path ? -1 : 1)), unsearched: 0 }
}

module.exports = { findSingles, singleAt, LAYOUT }
