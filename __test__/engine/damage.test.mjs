// A damaged bucket: every object removed, cut, changed, swapped or replaced, and a machine that has nothing else.
//
// Invariant guarded (I6, I15, I17): a blank machine restores exactly the last state or says with a typed error that it cannot;
// never an older state, never a new identity, and the objects of the bucket stay as they are, so that mending them helps.
//
// The bound over a network, where laying out one damage takes dozens of requests: each object is removed, cut once, changed
// in one byte, swapped with each other of its kind, and replaced by one of another tenant; sealed at all three moments, plain
// at one; and a long bucket is damaged at its ends and in its middle. In a directory it is every byte, every length that a
// reader could trip over, every pair, and every object of the long one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import hybrid from '../../index.js'
import { kindOf, longStoryIn, makePlace, newestSegment, openIn, plain, sealed, stateOf, storyIn, TENANT } from '../support/buckets.mjs'
import { OTHER_KEY } from '../../testkit/processes/machines.mjs'
import { eachIn, flipped, layOut, Tally, WORKERS } from '../../testkit/base/matrix.mjs'
import { told } from '../../testkit/processes/sessions.mjs'
import { every, spread } from '../support/size.mjs'
import { layOutIn, objectsIn } from '../../testkit/stores/contents.mjs'
import { overNetwork } from '../../testkit/stores/index.mjs'

const TYPED = ['REMOTE_CORRUPT', 'KEY_UNAVAILABLE']
/** Objects below this size are changed in every byte. */
const SMALL = 1024
/** Before the body of an object, see `docs/format.md`. */
const HEADER = 176

/** Places for trials, as many as may be under way at once. */
const makePlaces = (t) => Promise.all(Array.from({ length: overNetwork ? WORKERS / 3 : WORKERS }, () => makePlace(t)))

/** Outcome of `files` on a blank machine: `exact`, or the code of its error, having checked that nothing was touched. */
async function restore(place, files, { state, lsn }, options, where, disk = 'disk') {
  let session
  try {
    session = await openIn(place, options, disk)
  } catch (error) {
    assert.ok(error instanceof hybrid.HybridAuthError, `${where}: ${error.stack}`)
    assert.ok(TYPED.includes(error.code), `${where}: ${error.code}: ${error.message}`)
    const now = await objectsIn(place.bucket)
    for (const [name, bytes] of files) assert.ok(now.get(name)?.equals(bytes), `${where}: ${name} was touched by an open that failed`)
    return error.code
  }
  const { restored, ...status } = session.status()
  const found = await stateOf(session)
  await session.close()
  assert.equal(restored.source, 'remote', `${where}: a new identity`)
  assert.equal(status.lsn, lsn, `${where}: another LSN`)
  assert.equal(found, state, `${where}: another state`)
  return 'exact'
}

async function judge(t, places, story, damages, options, { mend = false } = {}) {
  const tally = new Tally()
  const count = await eachIn(places, damages, async ({ where, files }, place) => {
    layOut(place.folder, [])
    await layOutIn(place.bucket, files)
    const answer = await restore(place, files, story, options, where)
    tally.add(answer)
    if (!mend || answer === 'exact') return
    // The claim of the open that failed stays; everything else is as it was before the damage.
    const left = [...(await objectsIn(place.bucket))].filter(([name]) => !files.has(name))
    await layOutIn(place.bucket, new Map([...left, ...story.files]))
    assert.equal(await restore(place, story.files, story, options, `${where}, mended`, 'other'), 'exact', `${where}, mended`)
  })
  assert.ok(count > 0)
  t.diagnostic(`${count} damages: ${tally}`)
  return tally
}

const replaced = (files, name, bytes) => new Map(files).set(name, bytes)

function without(files, name) {
  const rest = new Map(files)
  rest.delete(name)
  return rest
}

/** Removal of the newest segment of an owner that did not release cannot be seen: it has a test of its own. */
const removals = ({ files }, beyondSight) =>
  [...files.keys()].filter((name) => name !== beyondSight).map((name) => ({ where: `${name} removed`, files: without(files, name) }))

function* truncations({ files }) {
  for (const [name, bytes] of files) {
    const half = bytes.length >> 1
    const lengths = overNetwork ? [half] : [0, 1, HEADER - 1, HEADER, HEADER + 1, half, bytes.length - 32, bytes.length - 1]
    for (const length of new Set(lengths))
      yield { where: `${name} cut to ${length}`, files: replaced(files, name, bytes.subarray(0, length)) }
    if (!overNetwork) yield { where: `${name} with a byte more`, files: replaced(files, name, Buffer.concat([bytes, Buffer.alloc(1)])) }
  }
}

function* flips({ files }) {
  for (const [name, bytes] of files) {
    for (let at = 0; at < bytes.length; at++) {
      if (overNetwork ? at !== bytes.length >> 1 : bytes.length >= SMALL && at >= HEADER && at % 16 !== 0) continue
      yield { where: `${name} byte ${at}`, files: replaced(files, name, flipped(bytes, at)) }
    }
  }
}

function* swaps({ files }) {
  const names = [...files.keys()]
  for (const [n, one] of names.entries()) {
    for (const other of names.slice(n + 1).filter((name) => kindOf(name) === kindOf(one))) {
      yield { where: `${one} and ${other} swapped`, files: replaced(files, one, files.get(other)).set(other, files.get(one)) }
    }
  }
}

/** The bucket of another tenant whose story went the same way, under this tenant's name. */
async function strangersObjects(t, options) {
  const stories = await storyIn(await makePlace(t), options, 'stranger')
  return new Map([...stories.closed.files].map(([name, bytes]) => [name.replace('stranger', TENANT), bytes]))
}

function* foreign({ files }, strangers) {
  for (const [name] of files) {
    const like = [...strangers].filter(([other]) => kindOf(other) === kindOf(name))
    for (const [other, bytes] of overNetwork ? like.slice(0, 1) : like) {
      yield { where: `${name} with the bytes of ${other}`, files: replaced(files, name, bytes) }
    }
  }
  if (!overNetwork) for (const [name, bytes] of strangers) yield { where: `${name} added`, files: replaced(files, name, bytes) }
  yield { where: "all of another tenant's objects added", files: new Map([...files, ...strangers]) }
}

for (const [name, options] of [
  ['sealed', sealed],
  ['plain', plain]
]) {
  test(`every_damage_of_a_${name}_bucket_is_healed_or_named`, async (t) => {
    const places = await makePlaces(t)
    const stories = await storyIn(await makePlace(t), options)
    const kinds = new Set(Object.values(stories).flatMap(({ files }) => [...files.keys()].map(kindOf)))
    assert.deepEqual([...kinds].sort(), ['base', 'claim', 'deleted', 'live', 'released', 'seg'])
    const strangers = await strangersObjects(t, options)
    for (const [moment, story] of Object.entries(stories)) {
      if (overNetwork && options === plain && moment !== 'young') continue
      const beyondSight = moment === 'closed' ? null : newestSegment(story.files)
      const each = (what, damages) => t.test(`${moment}: ${what}`, (t) => judge(t, places, story, damages, options, { mend: true }))
      await each('intact', [{ where: 'intact', files: story.files }])
      await each('each object removed', removals(story, beyondSight))
      await each('each object cut', truncations(story))
      await each('each pair of a kind swapped', swaps(story))
      await each('objects of another tenant', foreign(story, strangers))
    }
    // What is not sealed is guarded by the same digest: one bucket of each kind of object is enough for it.
    for (const moment of options === sealed ? ['closed', 'young'] : ['young']) {
      await t.test(`${moment}: each byte changed`, (t) => judge(t, places, stories[moment], every(29, flips(stories[moment])), options))
    }
  })
}

/** Over a network the first, the last and one in the middle. */
const chosen = (damages) => (overNetwork ? [damages[0], damages[damages.length >> 1], damages.at(-1)] : spread(damages, 15))

test('a_long_bucket_with_any_object_missing_emptied_or_swapped_is_healed_or_named', async (t) => {
  const places = await makePlaces(t)
  const story = await longStoryIn(await makePlace(t), sealed)
  const names = [...story.files.keys()].filter((name) => kindOf(name) === 'seg')
  assert.ok(names.length > 200 && [...story.files.keys()].filter((name) => kindOf(name) === 'base').length === 2)
  const emptied = names.map((name) => ({ where: `${name} emptied`, files: replaced(story.files, name, Buffer.alloc(0)) }))
  const neighbours = names.slice(1).map((name, n) => ({
    where: `${names[n]} and ${name} swapped`,
    files: replaced(story.files, name, story.files.get(names[n])).set(names[n], story.files.get(name))
  }))
  await judge(t, places, story, chosen(removals(story)), sealed)
  await judge(t, places, story, chosen(emptied), sealed)
  await judge(t, places, story, chosen(neighbours), sealed)
})

test('a_damaged_claim_of_an_owner_that_is_waited_for_is_healed_or_named', async (t) => {
  const { old } = await storyIn(await makePlace(t), sealed)
  const claims = { ...old, files: new Map([...old.files].filter(([name]) => kindOf(name) === 'claim')) }
  const damages = [...every(7, flips(claims)), ...removals(claims), ...truncations(claims)]
  const rest = [...old.files].filter(([name]) => kindOf(name) !== 'claim')
  const whole = damages.map(({ where, files }) => ({ where, files: new Map([...rest, ...files]) }))
  // Its interval stands in its claim: one that does not read must not make it unreachable for longer than a healthy one.
  await judge(t, await makePlaces(t), old, whole, { ...sealed, handoverTimeoutMs: undefined, ownershipCheckIntervalMs: 50 })
})

test('the_newest_segment_of_an_owner_that_did_not_release_can_vanish_unseen_which_is_the_documented_limit', async (t) => {
  const { old } = await storyIn(await makePlace(t), sealed)
  const place = await makePlace(t)
  await layOutIn(place.bucket, without(old.files, newestSegment(old.files)))
  const session = await openIn(place, sealed)
  const { lsn, restored } = session.status()
  assert.deepEqual(restored, { source: 'remote', clean: false }, 'it is said that the last moments may be missing')
  assert.ok(lsn < old.lsn)
  await session.close()
})

test('the_wrong_key_is_not_called_damage', async (t) => {
  const { closed } = await storyIn(await makePlace(t), sealed)
  const place = await makePlace(t)
  for (const options of [{ encryptionKeys: [OTHER_KEY] }, plain]) {
    await layOutIn(place.bucket, closed.files)
    assert.equal(await restore(place, closed.files, closed, options, 'wrong key'), 'KEY_UNAVAILABLE')
  }
})

test('damage_that_an_older_base_makes_up_for_is_told_and_logged', async (t) => {
  const { old } = await storyIn(await makePlace(t), sealed)
  const place = await makePlace(t)
  const newest = [...old.files.keys()]
    .filter((name) => kindOf(name) === 'base')
    .sort()
    .at(-1)
  await layOutIn(place.bucket, replaced(old.files, newest, flipped(old.files.get(newest), HEADER + 40)))
  const lines = []
  const line = (level) => (fields, message) => lines.push({ level, message, ...fields })
  const logger = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  const session = await openIn(place, { ...sealed, logger })
  const repaired = await told(session, 'repaired')
  assert.match(repaired.message, /an older base in the store led to the same state/)
  assert.equal(session.status().lsn, old.lsn)
  await session.close()
  assert.ok(
    lines.some(({ level, event }) => level === 'warn' && event === 'repaired'),
    JSON.stringify(lines)
  )
  assert.ok(
    lines.some(({ level, message }) => level === 'debug' && /restoring from \d+ objects/.test(message)),
    JSON.stringify(lines)
  )
})
