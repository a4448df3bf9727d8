'use strict'

// Diagnostics of a database as the store: what it keeps of the writes that it acknowledged, and settings that are risks.
//
// Invariant: a database that does not tell is `unknown`, and never `ok`.

const { check } = require('./doctor-check.js')

const KINDS = ['postgres', 'redis']

/** Durability -> the outcome and the message of the check. */
const DURABILITY = {
  __proto__: null,
  replicated: ['ok', 'acknowledged writes are on several servers'],
  disk: ['ok', 'acknowledged writes are on the disk of the server; a failover to a replica that is behind loses the latest ones'],
  second: ['warning', 'acknowledged writes reach the disk of the server after up to a second: a crash loses the latest ones'],
  memory: ['warning', 'acknowledged writes are only in the memory of the server: a restart loses them']
}

/**
 * The checks of a database; none for any other kind of store.
 * @param {{ kind: string }} store
 * @param {{ durability?: string | null, risks?: string[] }} examination
 */
function doctorDatabase({ kind }, { durability, risks = [] }) {
  if (!KINDS.includes(kind)) return []
  const [outcome, message] = DURABILITY[durability ?? ''] ?? [
    'unknown',
    'the database does not report the durability of acknowledged writes'
  ]
  const found = check('durability', outcome, message, { durability: durability ?? null })
  if (risks.length === 0) return [found, check('database', 'ok', 'no setting of the database is a known risk')]
  return [found, check('database', 'warning', risks.join('; '), { risks })]
}

module.exports = { doctorDatabase }
