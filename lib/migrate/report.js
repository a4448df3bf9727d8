'use strict'

// The report of a migration as it comes back to the cleanup, perhaps from a file.
//
// Invariant: it says what may be removed, so nothing in it is believed that could lead out of the source.

const { refuse } = require('../checks.js')
const { LAYOUTS: OF_DATABASES } = require('./databases/index.js')
const { LAYOUTS } = require('./layouts.js')
const { LAYOUTS: OF_PROFILES } = require('./profile-layouts.js')

const isHex = (text) => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)

const isFolder = (path) =>
  typeof path === 'string' && (path === '' || path.split('/').every((part) => !['', '.', '..'].includes(part) && !/[\\\0]/.test(part)))

/** Rejects anything but the report of a finished migration. */
function checkReport(report) {
  if (report?.version !== 1 || !Array.isArray(report.sessions)) refuse('`report` must be the result of `migrate`')
  if (report.dryRun) refuse('`report` belongs to a dry run: nothing was migrated')
  if (report.sessions.some((session) => OF_PROFILES.includes(session?.layout))) {
    refuse('`report` is about profiles of whatsapp-web.js, whose source is only read: remove it by hand, once the clients run')
  }
  if (report.sessions.some((session) => OF_DATABASES.includes(session?.layout))) {
    refuse('`report` is about sessions in a database, which is only read: remove them there by hand, once the new service runs')
  }
  for (const session of report.sessions) {
    if (!['migrated', 'already'].includes(session?.status)) continue
    const isWhole = typeof session.tenantId === 'string' && isFolder(session.path) && LAYOUTS.includes(session.layout)
    if (!isWhole || !isHex(session.digest) || !isHex(session.identity))
      refuse('`report` is damaged: migrate again, which does not change completed sessions, and use the new report')
  }
}

module.exports = { checkReport }
