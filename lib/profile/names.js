'use strict'

// Tenants of browser profiles: their ids in the store.
//
// Invariant: no session of Baileys has such an id, and no fleet opens one: a profile in its place would be a new identity.

/** Prefix of the profiles of whatsapp-web.js, by client id. */
const WHATSAPP_WEB = 'whatsapp-web.js/'

/** Prefix of the profiles of any other program, by the id that it gives. */
const BROWSER = 'browser-profile/'

/** True for the tenant of a browser profile. */
const isProfileTenant = (tenantId) => typeof tenantId === 'string' && [WHATSAPP_WEB, BROWSER].some((prefix) => tenantId.startsWith(prefix))

module.exports = { BROWSER, WHATSAPP_WEB, isProfileTenant }
