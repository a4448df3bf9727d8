'use strict'

// The layouts of sessions in a database.
//
// Invariant: these stand in reports of migrations, and never change.

/** A record for each key. */
const KEYS = 'key-records'
/** A hash with all keys of a session. */
const HASHES = 'key-hashes'
/** A record for each session. */
const SESSIONS = 'session-records'

const LAYOUTS = [KEYS, HASHES, SESSIONS]

module.exports = { HASHES, KEYS, LAYOUTS, SESSIONS }
