'use strict'

// The entries of a store's contract: each asks for one behaviour that the engine relies on, and names the remedy where it is missing.
//
// Invariants: an entry stores only below the folder that is named after it, so that one failure does not touch the next entry; a name is
// given one content only, as by the engine. `contract.rs` asks the same of every adapter of this repository.

const { createCipheriv, createHash } = require('node:crypto')

/** A behaviour that the store does not have. */
class Broken extends Error {}

/** Names in one page of a listing, in every store that pages, and some more. */
const STAY = 1_050
/** Names that are removed while a listing of several pages is under way. */
const GO = 150
/** The largest part that the core makes of an object. */
const LARGE = 32 << 20
/** Size of an object that takes several packets, as most states of sessions do. */
const USUAL = 1 << 20
/** Beyond this, times in listings are of no use to the tools that go by them. */
const WRONG_TIME_MS = 15 * 60_000

const CACHES = 'switch off caches, replicas and gateways between this machine and the store, or use another store'

/** Bytes that do not compress, always the same for one size. */
function noise(length) {
  const key = createHash('sha256').update(String(length)).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

const need = (holds, message) => {
  if (!holds) throw new Broken(message)
}
const sameNames = (found, expected) =>
  found.length === expected.length && new Set(found).size === found.length && expected.every((name) => found.includes(name))
const isSame = (found, bytes) => found !== null && Buffer.compare(found, bytes) === 0

/** Every way to ask: both connections, where there are two. */
const ways = ({ hasTwo }) => (hasTwo ? [{ second: false }, { second: true }] : [{ second: false }])

async function listAfterPut(trial, folder) {
  const by = ({ second }) => (second ? 'over another connection' : 'over the same connection')
  for (let n = 0; n < 20; n++) {
    const name = `${n}.seg`
    if (n % 2 === 0) await trial.put(`${folder}/${name}`, noise(100))
    else {
      const listed = await trial.putThenList(folder, name, noise(100))
      need(listed === null || listed.includes(name), `the listing that comes with a PUT does not show its object: ${CACHES}`)
    }
    for (const way of ways(trial)) {
      need(
        (await trial.list(folder, '', way)).includes(name),
        `a LIST ${by(way)} does not show an object stored just before, so that two processes could own one session: ${CACHES}`
      )
      need(
        isSame(await trial.get(`${folder}/${name}`, way), noise(100)),
        `a GET ${by(way)} does not return an object stored just before: ${CACHES}`
      )
    }
  }
}

async function absent(trial, folder) {
  const nothing = async (name) =>
    need(
      (await trial.get(`${folder}/${name}`)) === null,
      'an object that was never stored is not reported as missing: a GET must be answered by 404 and nothing else; check the gateway or proxy in front of the store'
    )
  await nothing('nothing')
  need(
    (await trial.list(folder)).length === 0,
    'a folder in which nothing was stored is not listed as empty: check the prefix, and any gateway in front of the store'
  )
  await trial.put(`${folder}/something`, noise(10))
  for (const name of ['nothing', 'something-else', 'some', 'something.live']) await nothing(name)
  need(
    (await trial.list(folder, 'nothing')).length === 0,
    'a LIST by a prefix shows objects with another one: the store ignores `prefix`; use another store'
  )
}

async function contents(trial, folder) {
  for (const size of [0, 1, 1_000, 100_000, USUAL]) {
    await trial.put(`${folder}/${size}`, noise(size))
    need(
      isSame(await trial.get(`${folder}/${size}`), noise(size)),
      `an object of ${size} bytes is not returned as it was stored: something in between changes or cuts it; check proxies, compression and virus scanners`
    )
  }
}

async function again(trial, folder) {
  const refused = (error) =>
    new Broken(
      `an object cannot be stored again under its name, as a retry and the refresh do: allow it, and switch off object lock and write-once rules (${error.message})`
    )
  for (let n = 0; n < 3; n++) {
    await trial.put(`${folder}/again`, noise(5_000)).catch((error) => {
      throw n === 0 ? error : refused(error)
    })
  }
  need(
    isSame(await trial.get(`${folder}/again`), noise(5_000)),
    'an object that was stored again is not returned as it was stored; use another store'
  )
  need(sameNames(await trial.list(folder), ['again']), 'an object that was stored again is listed twice, or not at all; use another store')
}

async function removal(trial, folder) {
  const remedy = 'check that the key may remove objects, and that no rule, lock or trash holds them back'
  const names = ['0', '1', '2', '3', '4']
  for (const name of names) await trial.put(`${folder}/${name}`, noise(10))
  const gone = ['1', '3', 'never-there']
  for (let time = 0; time < 2; time++) {
    await trial.remove(gone.map((name) => `${folder}/${name}`)).catch(({ message }) => {
      throw new Broken(
        `removing an object ${time === 0 ? 'fails' : 'that is gone already fails, which makes every retry of a removal fail'}: ${remedy} (${message})`
      )
    })
    for (const way of ways(trial)) {
      const left = await trial.list(folder, '', way)
      need(!left.includes('1') && !left.includes('3'), `an object that was removed is still listed: ${remedy}; ${CACHES}`)
      need(sameNames(left, ['0', '2', '4']), 'a removal also took objects that it did not name; use another store')
      need((await trial.get(`${folder}/1`, way)) === null, `an object that was removed can still be read: ${remedy}; ${CACHES}`)
    }
  }
}

async function folders(trial, folder) {
  const remedy = 'the store must take `prefix` and `delimiter` to the letter; check the gateway in front of it, or use another store'
  const names = ['a', 'a.1', 'a.10', 'a-b', 'ab', 'b']
  await trial.all(
    names.flatMap((name) => [`${folder}/${name}`, `${folder}x/${name}`, `${folder}/deeper-${name}/${name}`]),
    (name) => trial.put(name, noise(1))
  )
  const asked = [
    ['', names],
    ['a.', ['a.1', 'a.10']],
    ['a.1', ['a.1', 'a.10']],
    ['c', []]
  ]
  for (const [prefix, expected] of asked)
    need(
      sameNames(await trial.list(folder, prefix), expected),
      `a LIST of a folder shows objects of another folder or prefix, or lacks some: ${remedy}`
    )
  need(
    sameNames(await trial.list(`${folder}x`, 'b'), ['b']),
    `a folder whose name begins like another is not told apart from it: ${remedy}`
  )
}

async function pages(trial, folder) {
  const remedy = 'the store, or a gateway in front of it, loses objects between the pages of a listing; use another one'
  const numbered = (count, end) => Array.from({ length: count }, (_, n) => `${String(n).padStart(20, '0')}.${end}`)
  const [stay, go] = [numbered(STAY, 'base'), numbered(GO, 'seg')]
  await trial.all([...stay, ...go], (name) => trial.put(`${folder}/${name}`, noise(10)))
  need(sameNames(await trial.list(folder), [...stay, ...go]), `a LIST of ${STAY + GO} objects lacks some or shows one twice: ${remedy}`)
  const start = '0'.repeat(16)
  need(
    sameNames(
      await trial.list(folder, start),
      [...stay, ...go].filter((name) => name.startsWith(start))
    ),
    `a LIST of many objects by a prefix lacks some: ${remedy}`
  )
  let isDone = false
  const removing = trial
    .all(go, (name) => trial.remove([`${folder}/${name}`]))
    .finally(() => {
      isDone = true
    })
  const listing = async () => {
    do {
      const found = new Set(await trial.list(folder))
      need(
        stay.every((name) => found.has(name)),
        `a LIST during removals lacks objects that were there all the time: ${remedy}`
      )
    } while (!isDone)
  }
  // Neither goes on when the entry has ended.
  const [removed, listed] = await Promise.allSettled([removing, listing()])
  for (const outcome of [removed, listed]) if (outcome.status === 'rejected') throw outcome.reason
}

async function names(trial, folder) {
  const remedy =
    'the store must keep names of lower-case letters, digits, `-`, `_` and `.` of this length as they are; check for a gateway that rewrites names, or use another store'
  // As docs/format.md has them: the longest tenant, claim, range, digest, and part.
  const tenant = 'abcdefghijklmnopqrstuvwxyz-0123456789_2e'.repeat(3)
  const claim = `${'9'.repeat(20)}-${'0123456789abcdef'.repeat(2)}`
  const range = `${'1'.repeat(20)}-${'2'.repeat(20)}-${'0123456789abcdef'.repeat(2)}`
  const all = [
    [folder, `${tenant}.${claim}.released`],
    [folder, `${tenant}.${claim}`],
    [folder, `_41_42-c.${claim}.live`],
    [`${folder}/${tenant}`, `${claim}.${range}.seg`],
    [`${folder}/${tenant}`, `${claim}.${range}.seg.33554432-00001.part`],
    [`${folder}/_t${'0123456789abcdef'.repeat(2)}`, `${claim}.${range}.base`]
  ]
  for (const [at, name] of all) {
    await trial.put(`${at}/${name}`, noise(name.length)).catch(({ message }) => {
      throw new Broken(`the store rejects a name as the engine makes them: ${remedy} (${message})`)
    })
    need(isSame(await trial.get(`${at}/${name}`), noise(name.length)), `an object with a long name is not found under it: ${remedy}`)
  }
  for (const at of new Set(all.map(([at]) => at))) {
    need(
      sameNames(
        await trial.list(at),
        all.filter(([other]) => other === at).map(([, name]) => name)
      ),
      `names are listed otherwise than they were stored: ${remedy}`
    )
  }
}

async function large(trial, folder) {
  const bytes = noise(LARGE)
  await trial.put(`${folder}/large`, bytes).catch(({ message }) => {
    throw new Broken(
      `an object of ${LARGE >> 20} MiB cannot be stored, neither whole nor in parts: raise the limits for the size and the duration of requests, at the store and in proxies (${message})`
    )
  })
  need(
    isSame(await trial.get(`${folder}/large`), bytes),
    `an object of ${LARGE >> 20} MiB is not returned as it was stored: raise the limits for the size and the duration of answers, at the store and in proxies`
  )
  const parts = (await trial.list(folder)).filter((name) => name.endsWith('.part'))
  if (parts.length > 0)
    return {
      well: `an object of ${LARGE >> 20} MiB is stored in ${parts.length} parts, because the store takes none of this size, and is read back whole`
    }
}

async function whole(trial, folder) {
  const bytes = noise(4 * USUAL)
  let isDone = false
  const putting = (async () => {
    // The second time as a retry does it, over what is there.
    for (let time = 0; time < 2; time++) await trial.put(`${folder}/whole`, bytes)
  })().finally(() => {
    isDone = true
  })
  const reading = async () => {
    const way = { second: trial.hasTwo }
    let wasThere = false
    do {
      const isListed = (await trial.list(folder, '', way)).includes('whole')
      const found = await trial.get(`${folder}/whole`, way)
      need(
        found === null || isSame(found, bytes),
        `a GET during a PUT returns a piece of the object: the store must show an object whole or not at all. ${CACHES}`
      )
      need(found !== null || !(isListed || wasThere), `an object is listed, or was read, before it can be read for good: ${CACHES}`)
      wasThere ||= found !== null
    } while (!isDone)
  }
  const [put, read] = await Promise.allSettled([putting, reading()])
  for (const outcome of [read, put]) if (outcome.status === 'rejected') throw outcome.reason
}

async function concurrent(trial, folder) {
  const numbered = Array.from({ length: 64 }, (_, n) => `${n}`)
  await trial.all(numbered, (name) => trial.put(`${folder}/${name}`, noise(1_000), { second: trial.hasTwo && Number(name) % 2 === 1 }))
  for (const way of ways(trial))
    need(
      sameNames(await trial.list(folder, '', way), numbered),
      `of ${numbered.length} objects stored at once some are missing: the store acknowledges writes that it loses under load; ${CACHES}`
    )
  const bytes = noise(200_000)
  await trial.all(
    Array.from({ length: 8 }, (_, n) => n),
    (n) => trial.put(`${folder}-one/one`, bytes, { second: trial.hasTwo && n % 2 === 1 })
  )
  need(
    isSame(await trial.get(`${folder}-one/one`), bytes),
    'an object that several connections stored at once is not whole; use another store'
  )
  need(
    sameNames(await trial.list(`${folder}-one`), ['one']),
    'an object that several connections stored at once is not listed exactly once; use another store'
  )
}

async function times(trial, folder) {
  if (trial.clock?.outcome === 'failed') throw new Broken(trial.clock.message)
  const before = Date.now() + (trial.clock?.skewMs ?? 0)
  await trial.put(`${folder}/now`, noise(1_234))
  const after = Date.now() + (trial.clock?.skewMs ?? 0)
  const [found, ...others] = await trial.details(folder)
  need(found?.name === 'now' && others.length === 0, `a detailed LIST does not show an object stored just before: ${CACHES}`)
  need(found.bytes === null || found.bytes === 1_234, 'a LIST reports a wrong size of an object; use another store')
  if (found.modifiedMs === null)
    return { unknown: 'the store reports no times of objects; `prune` and the age of sessions are not available' }
  const isRight = found.modifiedMs > before - WRONG_TIME_MS && found.modifiedMs < after + WRONG_TIME_MS
  need(
    isRight,
    'a LIST reports a wrong time for an object stored just now, by which `prune` would delete the wrong sessions: correct the clock of the store, or of the machine that it is on'
  )
}

/** In their order: what fails first is the cause of what fails later. */
const ENTRIES = [
  { name: 'list-after-put', well: 'a LIST and a GET show every object stored before, over every connection', run: listAfterPut },
  { name: 'absent', well: 'an object or a folder that is not there is reported as missing, and not as an error', run: absent },
  { name: 'contents', well: 'objects are returned to the byte, from none to a megabyte', run: contents },
  { name: 'again', well: 'an object can be stored again under its name', run: again },
  { name: 'remove', well: 'a removed object is gone, and removing it again is not an error', run: removal },
  { name: 'folders', well: 'a LIST shows the objects of one folder and prefix, and no others', run: folders },
  { name: 'pages', well: `a LIST of ${STAY + GO} objects misses none, also while some are removed`, run: pages },
  { name: 'names', well: 'names of every form and of the greatest length are kept as they are', run: names },
  { name: 'large', well: `an object of ${LARGE >> 20} MiB is stored and read back whole`, run: large },
  { name: 'whole', well: 'a reader sees an object whole or not at all', run: whole },
  { name: 'concurrent', well: 'objects stored at once, also under one name, are all there and whole', run: concurrent },
  { name: 'times', well: 'listings report the right sizes and times, and the clocks agree', run: times }
]

module.exports = { Broken, ENTRIES }
