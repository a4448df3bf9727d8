/** A health indicator for `@nestjs/terminus` 10 and later. */

import type { FleetHealth, FleetHealthOptions, HybridAuthService } from './index.js'

/** What Terminus shows under the key. */
export type HybridAuthIndicatorResult<Key extends string = string> = Record<
  Key,
  { status: 'up' | 'down' } & Omit<FleetHealth, 'healthy'>
>

/**
 * Provide it where `TerminusModule` and `HybridAuthModule` are imported, and call it in a health check:
 *
 *     this.health.check([() => this.sessions.isHealthy('sessions')])
 *
 * It is for monitoring and alerts, not for a readiness or liveness probe: sessions keep running while a store is unavailable, and a
 * restart on a new disk loses what only the old disk has.
 */
export declare class HybridAuthHealthIndicator {
  /** @param indicators the `HealthIndicatorService` of Terminus 11 and later */
  constructor(auth: HybridAuthService, indicators?: any)
  /**
   * `down` when a session is poisoned, or when a store has failed for longer than `degradedForMs`. Tenants are named only with
   * `tenantIds`. With Terminus 10 it rejects with a `HealthCheckError` in place of answering `down`. @default key: 'hybridAuth'
   */
  isHealthy<const Key extends string = 'hybridAuth'>(key?: Key, options?: FleetHealthOptions): Promise<HybridAuthIndicatorResult<Key>>
}
