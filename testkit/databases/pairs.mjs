// A primary with a standby behind one address, for tests of a failover that loses the last writes.
//
// Invariants: what was written before `loseTail` is on both; what is written after it is on the primary alone, and is gone once
// `failover` is done. The address that an application knows stays the same.

import { startForwarder } from './forwarder.mjs'
import { startPostgres, startStandby } from './postgres.mjs'
import { startRedis, startReplica } from './redis.mjs'

async function pairOf(primary, follow) {
  const servers = [primary]
  let forwarder = null
  const stop = async () => {
    await forwarder?.stop()
    for (const server of servers.reverse()) await server.stop()
  }
  try {
    let standby = await follow(primary)
    servers.push(standby)
    forwarder = await startForwarder(primary.port)
    return {
      port: forwarder.port,
      endpoint: `${primary.kind}://127.0.0.1:${forwarder.port}`,
      address: { ...primary.address, endpoint: `${primary.kind}://127.0.0.1:${forwarder.port}` },
      /** The server that the address leads to. */
      current: primary,
      get standby() {
        return standby
      },
      /** From now on the standby gets nothing. */
      async loseTail() {
        await standby.catchUp()
        await standby.cutOff()
      },
      /** The primary is killed, the standby becomes the primary, and the address leads there. */
      failover() {
        return this.failoverTo(standby)
      },
      /** The same, to another standby. */
      async failoverTo(other) {
        await this.current.kill()
        await other.promote()
        this.current = other
        forwarder.leadTo(other.port)
      },
      /** The address leads to the standby, which is promoted, while the former primary runs on beside it: an operator's mistake. */
      async promoteBeside() {
        await standby.promote()
        this.current = standby
        forwarder.leadTo(standby.port)
      },
      /** A new standby of the server that is the primary now. */
      async follow() {
        standby = await follow(this.current)
        servers.push(standby)
      },
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

const PAIRS = {
  postgres: async (options) => pairOf(await startPostgres(options), startStandby),
  redis: async (options) => pairOf(await startRedis(options), (primary) => startReplica(primary, options))
}

/** @param {'postgres' | 'redis'} kind
 *  @param {object} [options] of the primary */
export const startPair = (kind, options = {}) => PAIRS[kind](options)
