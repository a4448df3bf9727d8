// Rejections that may go unhandled without ending the service, and with it all other numbers.
//
// Baileys does not wait for all that it begins. When a socket ends in the middle of something, what was on its way is rejected:
// by Baileys itself, whose errors are Booms, or by a session that has ended. Neither says anything of another number.

import { HybridAuthError } from 'baileys-hybrid-auth'

const ENDED = ['FENCED', 'CLOSED', 'DELETED', 'LEASE_LOST']

/** True for the remainder of a socket or of a session that has ended. Anything else is a fault, and not to be gone on with. */
export function isRemainder(error: unknown): error is Error {
  if (error instanceof HybridAuthError) return ENDED.includes(error.code)
  return error instanceof Error && 'isBoom' in error && error.isBoom === true
}
