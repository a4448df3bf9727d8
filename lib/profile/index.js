'use strict'

// Browser profiles: what the entry points take from here.

const { BROWSER, WHATSAPP_WEB, isProfileTenant } = require('./names.js')
const { openProfile, openProfileAt } = require('./profile.js')
const { openProfileSession } = require('./session.js')

module.exports = { BROWSER, WHATSAPP_WEB, isProfileTenant, openProfile, openProfileAt, openProfileSession }
