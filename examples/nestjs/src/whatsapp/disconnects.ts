// Reactions to a connection that has ended. The whole difference between a number that stays and one that is lost is here.

import { DisconnectReason } from 'baileys'

/**
 * - `delete`: the number was removed on the phone. The session is dead: delete it, or it comes back from the store for ever.
 * - `ask-owner`: somebody else connected with the same credentials. Connecting again would throw them out, and they us, for ever.
 * - `reconnect-now`: WhatsApp asks for it, after pairing for instance.
 * - `reconnect-later`: network, restart of a server, time-out: the session is as good as before.
 */
export type Reaction = 'delete' | 'ask-owner' | 'reconnect-now' | 'reconnect-later'

export function reactionTo(statusCode: number | undefined): Reaction {
  switch (statusCode) {
    case DisconnectReason.loggedOut:
      return 'delete'
    case DisconnectReason.connectionReplaced:
      return 'ask-owner'
    case DisconnectReason.restartRequired:
      return 'reconnect-now'
    default:
      return 'reconnect-later'
  }
}

const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000

/** Twice as long after each failure, and not at the same moment for all sessions of a service. */
export function waitAfter(failures: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - 1))
  return longest / 2 + (longest / 2) * random()
}
