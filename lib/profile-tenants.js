'use strict'

// Tenants of browser profiles: their ids in the store, and the client ids of whatsapp-web.js behind them.
//
// Invariants: no session of Baileys has such an id, and no fleet opens one: a profile in its place would be a new identity. Different
// client ids never mean the same tenant.

/** Prefix of the profiles of whatsapp-web.js, by client id. */
const WHATSAPP_WEB = 'whatsapp-web.js/'

/** Prefix of the profiles of any other program, by the id that it gives. */
const BROWSER = 'browser-profile/'

/** The tenant of a client without an id: no client id contains a dot. */
const UNNAMED = '.default'

/** True for the tenant of a browser profile. */
const isProfileTenant = (tenantId) => typeof tenantId === 'string' && [WHATSAPP_WEB, BROWSER].some((prefix) => tenantId.startsWith(prefix))

/** True for a text that whatsapp-web.js takes as a client id. */
const isClientId = (text) => typeof text === 'string' && /^[-_\w]+$/i.test(text)

/** The tenant of a client id, or of a client without one (null). */
const tenantOf = (clientId) => `${WHATSAPP_WEB}${clientId ?? UNNAMED}`

/** The client id of a tenant: null for a client without one, undefined if the tenant is none of whatsapp-web.js. */
function clientIdOf(tenantId) {
  if (!tenantId.startsWith(WHATSAPP_WEB)) return undefined
  const id = tenantId.slice(WHATSAPP_WEB.length)
  return id === UNNAMED ? null : isClientId(id) ? id : undefined
}

/** The name that a strategy (`RemoteAuth`, or `session` of LocalAuth) gives to the session of a client id. */
const sessionName = (strategy, clientId) => (clientId === null ? strategy : `${strategy}-${clientId}`)

module.exports = { BROWSER, WHATSAPP_WEB, isProfileTenant, isClientId, tenantOf, clientIdOf, sessionName }
