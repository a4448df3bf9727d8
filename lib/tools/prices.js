'use strict'

// Prices of requests and bytes at the providers, and measurements of a session: the numbers behind every estimate.
//
// Invariants: every rate stands here once, with when it was read. What was measured is as it stands in `docs/cost.md`, and a test
// holds it to that.

/**
 * Rates as published, in USD: for a million requests that write or list (class A) and that read (class B), for a GB that is stored
 * for a month (`storage`) and that leaves for the internet (`egress`), with what each month includes (`free`) and when they were
 * `read`. `unit`: what requests are rounded up to. `plan`: what is paid before all that. `names`: whose answers to a listing were
 * measured. Deleting is free everywhere.
 */
const PROVIDERS = {
  s3: {
    name: 'S3 Standard, us-east-1',
    read: 'June 2026',
    names: 's3',
    classA: 5,
    classB: 0.4,
    storage: 0.023,
    egress: 0.09,
    free: { egress: 100 }
  },
  r2: {
    name: 'Cloudflare R2',
    read: 'August 2026',
    names: 's3',
    classA: 4.5,
    classB: 0.36,
    storage: 0.015,
    egress: 0,
    unit: 1e6,
    free: { classA: 1e6, classB: 10e6, storage: 10 }
  },
  gcs: {
    name: 'Google Cloud Storage, us-central1',
    read: 'September 2026',
    names: 's3',
    classA: 5,
    classB: 0.4,
    storage: 0.02,
    egress: 0.12,
    free: { classA: 5000, classB: 50_000, storage: 5, egress: 100 }
  },
  supabase: {
    name: 'Supabase, Pro plan',
    read: 'August 2026',
    names: 'supabase',
    plan: 25,
    classA: 0,
    classB: 0,
    storage: 0.0213,
    egress: 0.09,
    free: { storage: 100, egress: 250 }
  }
}

/**
 * Databases, by kind of store: their requests cost nothing. Price in other terms (`instead`), as expected from the size of what is stored; bytes that
 * a listed name takes in an answer (`nameBytes`), as the core reckons with.
 */
const FREE = {
  postgres: {
    instead: 'about 6.5 KB of its write-ahead log for each upload, and room for two copies of the state of each session, 0.1 to 2 MB each',
    nameBytes: 100
  },
  redis: { instead: 'memory for two copies of the state of each session, 0.1 to 2 MB each', nameBytes: 100 }
}

/**
 * Of 500 sessions, per minute: what each asked for and sent at one message a minute, and the bytes that a listed name takes in the
 * answers of each kind of store.
 */
const MEASURED = { sessions: 500, puts: 499, lists: 530, sentKB: 3151, nameBytes: { s3: 268, supabase: 473 } }

module.exports = { FREE, MEASURED, PROVIDERS }
