// Requests of the raw clients, which look into a store beside what is tested.
//
// Invariants: so many are under way at once and no more, since a server that shares its process with a test takes 511 connections at
// a time, and the next ones give up on a busy machine; and each comes to an end, whatever the server does.

/** Requests under way at once, of a process. */
const AT_ONCE = 64
/** Generous: it only ends a broken run. */
const TIMEOUT_MS = 120_000

let underWay = 0
const waiting = []

async function turn() {
  if (underWay >= AT_ONCE) await new Promise((resolve) => waiting.push(resolve))
  else underWay += 1
}

/** Hands the place on, or gives it back. */
function done() {
  const next = waiting.shift()
  if (next) next()
  else underWay -= 1
}

/** Sends one request, and answers with its status, its headers and its whole body. */
export async function rawRequest(url, init) {
  await turn()
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) })
    const { ok, status, headers } = response
    return { ok, status, headers, bytes: Buffer.from(await response.arrayBuffer()) }
  } finally {
    done()
  }
}
