// Runs of the engine suite over other stores than a directory: each a kind of store, and the server that it is in.
//
// Invariant: a run has a server of its own, which is stopped when it ends, with whatever is in front of it.

import { startPgBouncer } from '../databases/pgbouncer.mjs'
import { isPostgresPublished } from '../databases/programs.mjs'

/**
 * Each with the name by which it is asked for. `isOnce`: at the size of `npm test` in `npm run test:all` too, since the faults of databases have tests
 * of their own. `isByName`: only for those who ask for it, `npm test -- "Engine over valkey"`: these are other versions of a server
 * that a run above is over, and their contract is tested in `__test__/stores`.
 * @type {{ name: string, kind: string, settings?: object, front?: (server: any) => Promise<any>, isOnce?: boolean, isByName?: boolean }[]}
 */
export const ENGINES = [
  { name: 'supabase', kind: 'supabase' },
  { name: 'seaweedfs', kind: 'seaweedfs' },
  { name: 'rclone', kind: 'rclone' },
  { name: 'gcs', kind: 'gcs' },
  { name: 'postgres', kind: 'postgres', isOnce: true },
  { name: 'redis', kind: 'redis', isOnce: true },
  ...['13', '17']
    .filter(isPostgresPublished)
    .map((version) => ({ name: `postgres-${version}`, kind: 'postgres', settings: { version }, isByName: true })),
  { name: 'pgbouncer', kind: 'postgres', front: (server) => startPgBouncer(server, { poolSize: 20 }), isByName: true },
  { name: 'valkey', kind: 'redis', settings: { program: 'valkey' }, isByName: true }
]

/**
 * Starts the server of a run; `environment` leads tests to it.
 * @param {{ kind: string, settings?: object, front?: (server: any) => Promise<any> }} engine
 */
export async function startEngine({ kind, settings, front }) {
  const store = await import(`./${kind}.mjs`)
  const server = await store.start(settings)
  const before = await front?.(server.server).catch(async (error) => {
    await server.stop()
    throw error
  })
  const address = before === undefined ? server.address : { ...server.address, direct: server.address.endpoint, endpoint: before.endpoint }
  return {
    environment: { TEST_STORE: kind, TEST_STORES: JSON.stringify({ [kind]: address }) },
    stop: async () => {
      await before?.stop()
      await server.stop()
    }
  }
}
