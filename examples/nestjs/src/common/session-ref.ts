// Name of a session: a user, and one of the user's sessions. Both together are the tenant id of the auth state.
//
// The characters are those that stand for themselves in the names of objects, so that the bucket alone can tell which sessions
// there are (`HybridAuthService.tenants()`), whatever became of the database.

import { IsOptional, Matches } from 'class-validator'

const ID = /^[a-z0-9-]{1,50}$/
const RULE = { message: '$property must be 1 to 50 lower-case letters, digits and `-`' }

export class UserRef {
  @Matches(ID, RULE)
  userId!: string
}

export class SessionRef extends UserRef {
  @Matches(ID, RULE)
  sessionId!: string
}

/** The body of `connect` and `disconnect`: optional with a single number. */
export class ConnectRequest extends UserRef {
  @IsOptional()
  @Matches(ID, RULE)
  sessionId: string = 'default'
}

export const tenantIdOf = ({ userId, sessionId }: SessionRef) => `${userId}:${sessionId}`

/** Null for a tenant that is not of this service. */
export function refOf(tenantId: string): SessionRef | null {
  const [userId, sessionId, ...rest] = tenantId.split(':')
  return rest.length === 0 && ID.test(userId) && ID.test(sessionId ?? '') ? { userId, sessionId } : null
}
