'use strict'

// The profiles that are open in this process, and how their backups fare.
//
// Invariants: a profile is here from its open until it was closed, deleted or fenced; nothing here asks a store, a browser or the disk.

/** Profiles, as `profile.js` makes them. */
const open = new Set()

const keep = (profile) => open.add(profile)
const drop = (profile) => open.delete(profile)

/** One line of each: `{ tenantId, browser, ageMs, failingForMs }`. */
function openProfiles() {
  return [...open].flatMap((profile) => {
    const { life, browser, ageMs, failingForMs } = profile.status()
    return life === 'live' ? [{ tenantId: profile.tenantId, browser, ageMs, failingForMs }] : []
  })
}

/** Totals over such lines. */
function summarizeProfiles(profiles) {
  const ages = profiles.map(({ ageMs }) => ageMs).filter((age) => age !== null)
  return {
    open: profiles.length,
    running: profiles.filter(({ browser }) => browser === 'running').length,
    neverBackedUp: profiles.length - ages.length,
    failing: profiles.filter(({ failingForMs }) => failingForMs > 0).length,
    failingForMs: Math.max(0, ...profiles.map(({ failingForMs }) => failingForMs)),
    oldestBackupMs: ages.length === 0 ? null : Math.max(...ages)
  }
}

module.exports = { drop, keep, openProfiles, summarizeProfiles }
