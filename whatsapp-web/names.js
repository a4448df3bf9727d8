'use strict'

// Names of whatsapp-web.js as options and arguments: its client ids, sessions and folders.
//
// Invariants: `HybridAuth` and `RemoteAuthStore` mean the same tenant by the same client id; a name that is none is rejected before
// anything is opened.

const { refuse } = require('../lib/checks.js')
const { isClientId, tenantOf } = require('../lib/profile-tenants.js')

/** Folder of sessions, unless the application names another one: that of whatsapp-web.js. */
const DATA_PATH = '.wwebjs_auth'

/** A client id, or null for none. */
function clientIdIn(clientId) {
  if (clientId === undefined || clientId === null || clientId === '') return null
  if (!isClientId(clientId)) refuse('`clientId` must consist of letters, digits, underscores and hyphens')
  return clientId
}

/** Name and client id of a session as RemoteAuth names it: alone, or behind the path of its folder. */
function sessionIn(session) {
  if (typeof session !== 'string') refuse('`session` must be the name of a session, as RemoteAuth gives it')
  const name = session.split(/[\\/]/).at(-1)
  const [, clientId] =
    /^RemoteAuth(?:-([-_\w]+))?$/i.exec(name) ?? refuse('`session` must be `RemoteAuth` or `RemoteAuth-` and a client id')
  return { name, clientId: clientId ?? null, tenantId: tenantOf(clientId ?? null) }
}

/** The path of the folder of sessions that an option names. */
function dataPathIn(dataPath) {
  if (dataPath === undefined || dataPath === null || dataPath === '') return DATA_PATH
  if (typeof dataPath !== 'string' || dataPath.includes('\0')) refuse('`dataPath` must be the path of a folder')
  return dataPath
}

module.exports = { clientIdIn, sessionIn, dataPathIn }
