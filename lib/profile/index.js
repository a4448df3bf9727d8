'use strict'

// Browser profiles: what the entry points take from here.

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
