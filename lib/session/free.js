'use strict'

// The check for a running owner, before an open that must end no other one.
//
// Invariant: in doubt there is one. A session that was found free is opened only if nobody claimed it meanwhile.

const fs = require('node:fs/promises')
const { join } = require('node:path')
const { HybridAuthError, settle } = require('../errors.js')
const { call } = require('../core.js')
const { loadBinding } = require('../native.js')

/** Claims that this folder made: the holder of its lock, such as an open, knows that they have ended. */
async function claimsOf(folder) {
  const text = await fs.readFile(join(folder, 'claims'), 'utf8').catch(() => '')
  return new Set(text.split('\n'))
}

/** True if the owner of this epoch is a session of this process: opening it again shares it. */
function isHere(tenantId, epoch) {
  const { sessions } = call(loadBinding().figures)
  return sessions.some((one) => one.tenantId === tenantId && one.status?.epoch === epoch)
}

/** Words to the core, beside the options, for an open that must end no other owner. Rejects with OWNED_ELSEWHERE. */
async function claimIfFree({ tenantId, resolved: { native, keys }, folder }) {
  // Without a store the lock of the folder decides.
  if (native.store === null) return {}
  const [standing] = settle(await loadBinding().survey(JSON.stringify(native), keys, [tenantId], []))
  if (standing === undefined || !['live', 'released'].includes(standing.owner)) return {}
  const { owner, claim, epoch } = standing
  if (owner === 'live' && isHere(tenantId, epoch)) return {}
  if (owner === 'released' || (!native.cloud && (await claimsOf(folder)).has(claim))) return { expected: claim }
  throw new HybridAuthError(
    'OWNED_ELSEWHERE',
    'this session was not released: its owner is running, or crashed; an open without `ifFree` takes it over'
  )
}

module.exports = { claimIfFree }
