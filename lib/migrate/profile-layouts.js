'use strict'

// The sessions of whatsapp-web.js among the names in a source, zips of RemoteAuth and folders of LocalAuth, and their tenants.
//
// Invariants: a session is known by its own name, wherever it lies, as the package knows it; two of one name are an error, and so is a name
// that no client of whatsapp-web.js can ask for.

const { refuse } = require('../checks.js')
const { BROWSER, clientIdOf, isClientId, isProfileTenant, tenantOf } = require('../profile-tenants.js')
const { fileOf, folderOf, nameTenants } = require('./layouts.js')

const [ZIP, LOCAL] = ['wwebjs-zip', 'wwebjs-local']
const LAYOUTS = [ZIP, LOCAL]

/** Storage of pages in a folder of LocalAuth. */
const STORAGE = 'Default/IndexedDB'

/** Client id in the name of a session: null for a client without one, undefined for another name. */
function idIn(name, strategy) {
  if (name === strategy) return null
  const id = name.startsWith(`${strategy}-`) ? name.slice(strategy.length + 1) : undefined
  return isClientId(id) ? id : undefined
}

const session = (path, layout, name, clientId) => {
  const above = folderOf(path)
  return { path, layout, clientId, parts: [...(above === '' ? [] : above.split('/')), clientId ?? name] }
}

/** Zips of sessions: `RemoteAuth-<client id>.zip`, or `<client id>.zip` of services that name them themselves. */
function findZips(names) {
  const zips = names.filter((name) => name.endsWith('.zip'))
  const found = zips.map((path) => {
    const name = fileOf(path).slice(0, -'.zip'.length)
    const clientId = idIn(name, 'RemoteAuth')
    return session(path, ZIP, name, clientId === undefined && isClientId(name) ? name : clientId)
  })
  return found.filter(({ clientId }) => clientId !== undefined)
}

/** Folders of LocalAuth: `session-<client id>` and `session`, with storage of pages. `label` is the name of the source itself. */
function findFolders(names, label) {
  const storage = names.flatMap((name) => {
    const at = name.startsWith(`${STORAGE}/`) ? 0 : name.indexOf(`/${STORAGE}/`)
    return at === -1 ? [] : [name.slice(0, at)]
  })
  const found = [...new Set(storage)].sort().map((path) => {
    const name = path === '' ? label : fileOf(path)
    const clientId = idIn(name, 'session')
    return path === '' ? { path, layout: LOCAL, clientId, parts: [] } : session(path, LOCAL, name, clientId)
  })
  return found.filter(({ clientId }) => clientId !== undefined)
}

/** Sessions of one of the two layouts among the names in a source. */
const findProfiles = (names, layout, { label }) => (layout === ZIP ? findZips(names) : findFolders(names, label))

/** Number of sessions of whatsapp-web.js in a source, by layout. Folders are read from a disk alone. */
const countProfiles = (names, { kind, label }) => ({
  [ZIP]: findZips(names).length,
  [LOCAL]: kind === 'folder' ? findFolders(names, label).length : 0
})

/** The tenant of a client id, or of the id of a profile as it is in the store. */
function profileTenant(id, option) {
  const isOne = isProfileTenant(id)
    ? clientIdOf(id) !== undefined || (id.startsWith(BROWSER) && id.length > BROWSER.length)
    : isClientId(id)
  if (!isOne)
    refuse(
      `${option} must return client ids of whatsapp-web.js, of letters, digits, underscores and hyphens, or ids that begin with whatsapp-web.js/ or ${BROWSER}`
    )
  return isProfileTenant(id) ? id : tenantOf(id)
}

/** Gives each session its tenant: by its own name, unless `tenantId` says otherwise. */
function nameProfiles(found, { tenantId, label }) {
  const own = (/** @type {any} */ { path }) => tenantOf(found.find((one) => one.path === path).clientId)
  return nameTenants(found, { tenantId, label, own, asId: (id) => profileTenant(id, '`tenantId`') })
}

/** The tenants of `only`, null for all. */
const onlyProfiles = (only) => (only === null ? null : new Set([...only].map((id) => profileTenant(id, '`only`'))))

module.exports = { LAYOUTS, LOCAL, ZIP, countProfiles, findProfiles, nameProfiles, onlyProfiles }
