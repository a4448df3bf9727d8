// Prices of requests and bytes, and what other ways to keep the same accounts would have sent.
//
// Invariants: the rates are those of `lib/tools/prices.js`, where each stands once; a month has 30 days. A figure of another way
// comes from the same trace by a formula that is written out in `docs/cost.md`.

import { createRequire } from 'node:module'

export const { PROVIDERS } = createRequire(import.meta.url)('../../lib/tools/prices.js')

export const MINUTES = 30 * 24 * 60

const GB = 1e9
const beyond = (used, free = 0) => Math.max(0, used - free)

/**
 * USD for a month: `{ requests, storage, egress }`. `month` is `{ classA, classB, getBytes, listedNames, storedBytes }`, and
 * `nameBytes` says what a listed name takes in the answers of each kind of store.
 */
export function priceOf(month, { names, classA, classB, storage, egress, unit = 1, free }, nameBytes) {
  const billed = (used, included) => Math.ceil(beyond(used, included) / unit) * unit
  const egressBytes = month.getBytes + month.listedNames * nameBytes[names]
  return {
    requests: (billed(month.classA, free.classA) * classA + billed(month.classB, free.classB) * classB) / 1e6,
    storage: beyond(month.storedBytes / GB, free.storage) * storage,
    egress: beyond(egressBytes / GB, free.egress) * egress
  }
}

/** The month of a fleet that goes on as it did in the counts of one phase. */
export function monthOf(counts, { minutes, storedBytes, nameBytes }) {
  const perMonth = (sum) => (sum / minutes) * MINUTES
  return {
    classA: perMonth(counts.put.requests + counts.list.requests),
    classB: perMonth(counts.get.requests),
    getBytes: perMonth(counts.get.down),
    listedNames: perMonth(counts.list.down / nameBytes.s3),
    uploadBytes: perMonth(counts.put.up),
    storedBytes
  }
}

/**
 * Other ways to keep the same accounts, from the trace of one phase: messages, values, changes of the credentials. `account` is
 * one of them: how many files, how many bytes, and how many as an archive. Answers what each would send in a month.
 */
export function otherWays(trace, { minutes, tenants, account }) {
  const perMonth = (sum) => (sum / minutes) * MINUTES
  const saves = perMonth(trace.saves)
  const folders = (times) => ({ classA: times * account.files, uploadBytes: times * account.bytes, storedBytes: tenants * account.bytes })
  const every = (intervalMinutes) => tenants * (MINUTES / intervalMinutes)
  const month = (way) => ({ classB: 0, getBytes: 0, listedNames: 0, ...way })
  return {
    folder5: month(folders(every(5) + saves)),
    folder1: month(folders(every(1) + saves)),
    archive10: month({ classA: every(10), uploadBytes: every(10) * account.archive, storedBytes: tenants * account.archive }),
    object: month({
      classA: perMonth(trace.values + trace.saves),
      uploadBytes: perMonth(trace.jsonBytes),
      storedBytes: tenants * account.bytes
    })
  }
}
