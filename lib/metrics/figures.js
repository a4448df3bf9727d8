'use strict'

// The figures of this process: what the core counted since it began, and how each open session fares.
//
// Invariant: a session is here once, however often its tenant is opened; what was counted never goes back while the process
// lives.

const { freshCounts } = require('../session/fresh.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')
const { underWay } = require('../session/opening.js')
const { openProfiles, summarizeProfiles } = require('../profile/open-profiles.js')
const { FAULTY, OPENING, describe, summarize } = require('../session/status.js')

/** @returns `{ fresh, meters, traffic, sessions: [{ tenantId, status }], opening, profiles, summary }`, `fresh`, `opening` and `profiles` being those of this thread */
function readFigures() {
  const { meters, traffic, sessions: told } = call(loadBinding().figures)
  const sessions = told.map(({ tenantId, status }) => ({ tenantId, status: describe(status ?? FAULTY) }))
  const opening = underWay()
  const summary = summarize([...sessions.map(({ status }) => status), ...opening.map(() => OPENING)])
  return { fresh: freshCounts(), meters, traffic, sessions, opening, profiles: summarizeProfiles(openProfiles()), summary }
}

module.exports = { readFigures }
