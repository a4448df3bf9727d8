// Google Cloud Storage as a test store: the double of it that lies in `gcs/`, and a client for tests.
//
// Invariant: the client is the owner of the project and asks the server itself, even where the code under test is led through
// a proxy: what it sees is what is stored, whatever is done to the network and whatever the service account may not.
//
// `client.switch({...})`: `clockSkewMs` sets the service's clock, `tokenLifetimeMs` how long bearers count.
// `bucket.switch({...})`: `allUsers`, `denied` and `granted` (beyond objects) are lists of permissions, `lifecycle` is the XML of
// rules and `versioning` whether what is replaced is kept (the double only says so), `olderMs` makes
// what is stored from then on as much older, `sameNameMs` is how long a name may not be written
// again (429), `pageSize` makes the pages of listings shorter.

import { randomBytes } from 'node:crypto'
import { keyFile, makeAccount, redirected } from './gcs/identity.mjs'
import { Server } from './gcs/server.mjs'
import { codeOf, listed } from './gcs/xml.mjs'
import { rawRequest } from './raw-request.mjs'

export const kind = 'gcs'

/** Starts the double in this process. */
export async function start() {
  const account = await makeAccount()
  const ownerToken = `owner-${randomBytes(24).toString('hex')}`
  const server = new Server(account, ownerToken)
  await server.listen()
  return {
    address: { kind, endpoint: server.origin, credentials: keyFile(account, server.origin), ownerToken },
    stop: () => server.stop()
  }
}

/** A client for a double that somebody started. What it makes is reached at `endpoint` by the code under test. */
export function connect(address, { endpoint = address.endpoint } = {}) {
  const credentials = redirected(address.credentials, endpoint)

  /** A request of the owner; `fine` are the statuses that are answers, all others are errors. */
  const ask = async (method, path, { body, fine = [200, 204] } = {}) => {
    const headers = { authorization: `Bearer ${address.ownerToken}` }
    const { status, bytes } = await rawRequest(`${address.endpoint}/${path}`, { method, body, headers })
    if (!fine.includes(status)) throw new Error(`${method}: ${status} ${codeOf(bytes.toString())}`)
    return { status, bytes }
  }
  const switchAt = (path, switches, fine) => ask('POST', `_switch/${path}`, { body: JSON.stringify(switches), fine })

  const bucketNamed = (name) => {
    const at = (object) => `${name}/${encodeURIComponent(object)}`
    const list = async () => {
      const names = []
      for (let token = null; ;) {
        const page = token === null ? '' : `&continuation-token=${encodeURIComponent(token)}`
        const { names: some, next } = listed((await ask('GET', `${name}?list-type=2${page}`)).bytes.toString())
        names.push(...some)
        if (next === null) return names
        token = next
      }
    }
    const deleteAll = async (names) => {
      const queue = names.values()
      const worker = async () => {
        for (const object of queue) await ask('DELETE', at(object), { fine: [204, 404] })
      }
      await Promise.all(Array.from({ length: 8 }, worker))
    }
    const http = { ca: null, allowPublic: false, maxConcurrentRequests: 64 }
    return {
      name,
      options: { store: { kind, bucket: name, endpoint, credentials } },
      spec: {
        kind,
        bucket: name,
        prefix: '',
        endpoint,
        credentials,
        credentialsFile: null,
        instanceMetadata: false,
        anonymous: false,
        ...http
      },
      list,
      delete: deleteAll,
      async get(object) {
        const { status, bytes } = await ask('GET', at(object), { fine: [200, 404] })
        if (status === 404 && codeOf(bytes.toString()) !== 'NoSuchKey') throw new Error(`GET: 404 ${codeOf(bytes.toString())}`)
        return status === 404 ? null : bytes
      },
      async put(object, bytes) {
        await ask('PUT', at(object), { body: bytes })
      },
      async switch(switches) {
        await switchAt(name, switches)
      },
      async remove() {
        // One that is gone already is as good.
        if ((await switchAt(name, { sameNameMs: 0 }, [204, 404])).status === 404) return
        // Somebody may still be writing: then it is emptied again, a few times.
        for (let left = 5; ; left--) {
          await deleteAll(await list())
          if ((await ask('DELETE', name, { fine: left > 0 ? [204, 409] : [204] })).status === 204) return
        }
      }
    }
  }

  return {
    async switch(switches) {
      await switchAt('', switches)
    },
    async makeBucket(name = `test-${randomBytes(8).toString('hex')}`) {
      await ask('PUT', name)
      return bucketNamed(name)
    }
  }
}
