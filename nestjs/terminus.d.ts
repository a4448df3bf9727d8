/** A health indicator for `@nestjs/terminus` 10 and later. */

import type { FleetHealthOptions, HybridAuthService, ServiceHealth } from './index.js'

/** Result under the key in Terminus. */
export type HybridAuthIndicatorResult<Key extends string = string> = Record<Key, { status: 'up' | 'down' } & Omit<ServiceHealth, 'healthy'>>

/**
 * Provide it in a module that imports `TerminusModule` and `HybridAuthModule`, and call it in a health check:
 *
 *     this.health.check([() => this.sessions.isHealthy('sessions')])
 *
 * It is for monitoring and alerts, not for a readiness or liveness probe: sessions keep running while a store is unavailable, and a
 * restart on a new disk loses writes that only the old disk has.
 */
export declare class HybridAuthHealthIndicator {
  /** @param indicators the `HealthIndicatorService` of Terminus 11 and later */
  constructor(auth: HybridAuthService, indicators?: any)
  /**
   * `down` if a session is poisoned, or if a store has been failing for longer than `degradedForMs`. Includes tenant ids only with
   * `tenantIds`. With Terminus 10 it rejects with a `HealthCheckError` instead of returning `down`. @default key: 'hybridAuth'
   */
  isHealthy<const Key extends string = 'hybridAuth'>(key?: Key, options?: FleetHealthOptions): Promise<HybridAuthIndicatorResult<Key>>
}
