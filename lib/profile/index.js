'use strict'

// The interface of browser profiles for the entry points.
//
// Invariant: a profile is opened by these functions alone, but by a migration, which writes one that no browser has used.

const { BROWSER, WHATSAPP_WEB, isProfileTenant } = require('../profile-tenants.js')
const { openProfiles, summarizeProfiles } = require('./open-profiles.js')
const { openProfile, openProfileAt } = require('./profile.js')
const { FOREIGN, openProfileSession } = require('./session.js')

module.exports = {
  BROWSER,
  FOREIGN,
  WHATSAPP_WEB,
  isProfileTenant,
  openProfile,
  openProfileAt,
  openProfiles,
  openProfileSession,
  summarizeProfiles
}
