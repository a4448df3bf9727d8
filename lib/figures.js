'use strict'

// The figures of this process: what the core counted since it began, and how each open session fares.
//
// Invariant: a session is here once, however often its tenant is opened; what was counted never goes back while the process
// lives.

const { call } = require('./keys.js')
const { loadBinding } = require('./native.js')
const { FAULTY, describe, summarize } = require('./status.js')

/** @returns `{ meters, traffic, sessions: [{ tenantId, status }], summary }` */
function readFigures() {
  const { meters, traffic, sessions: told } = JSON.parse(call(loadBinding().figures))
  const sessions = told.map(([tenantId, status]) => ({ tenantId, status: describe(status ?? FAULTY) }))
  return { meters, traffic, sessions, summary: summarize(sessions.map(({ status }) => status)) }
}

module.exports = { readFigures }
