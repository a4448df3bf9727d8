// What requests and bytes cost, and what other ways to keep the same accounts would have sent.
//
// Invariants: every rate stands here once, with when it was read; a month has 30 days. A figure of another way comes from the
// same trace by a formula that is written out in `docs/cost.md`.

export const MINUTES = 30 * 24 * 60

/**
 * Rates as published, in USD: for a million requests that write or list (class A) and that read (class B), for a GB that is stored
 * for a month (`storage`) and that leaves for the internet (`egress`), with what each month includes (`free`) and when they were
 * `read`. `unit`: what requests are rounded up to. `plan`: what is paid before all that. `names`: whose answers to a listing were
 * measured. Deleting is free everywhere.
 */
export const PROVIDERS = {
  s3: {
    name: 'S3 Standard, us-east-1', read: 'June 2026', names: 's3',
    classA: 5, classB: 0.4, storage: 0.023, egress: 0.09, free: { egress: 100 }
  },
  r2: {
    name: 'Cloudflare R2', read: 'August 2026', names: 's3',
    classA: 4.5, classB: 0.36, storage: 0.015, egress: 0, unit: 1e6, free: { classA: 1e6, classB: 10e6, storage: 10 }
  },
  gcs: {
    name: 'Google Cloud Storage, us-central1', read: 'September 2026', names: 's3',
    classA: 5, classB: 0.4, storage: 0.02, egress: 0.12, free: { classA: 5000, classB: 50_000, storage: 5, egress: 100 }
  },
  supabase: {
    name: 'Supabase, Pro plan', read: 'August 2026', names: 'supabase', plan: 25,
    classA: 0, classB: 0, storage: 0.0213, egress: 0.09, free: { storage: 100, egress: 250 }
  }
}

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
    object: month({ classA: perMonth(trace.values + trace.saves), uploadBytes: perMonth(trace.jsonBytes), storedBytes: tenants * account.bytes })
  }
}
