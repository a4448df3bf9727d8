// The double of Supabase Storage, against what the real server was recorded to answer: every case, and how it behaves when
// several ask at once.
//
// Invariant: the double differs from the recording in nothing, entry by entry. Where several win in the recording, several win
// here: a lock that does not lock there must not lock in the tests.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../../testkit/processes/machines.mjs'
import { Player, recordedAnswer, transcript } from '../../testkit/stores/supabase/replay.mjs'
import { StorageServer } from '../../testkit/stores/supabase/server.mjs'

const BUCKET = transcript.bucket
const OCTETS = { 'content-type': 'application/octet-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

async function serve(t, settings) {
  const server = await new StorageServer(settings).start()
  const player = new Player(server)
  t.after(async () => {
    player.close()
    await server.stop()
  })
  return { server, player }
}

/** Cases in their order; those whose ids begin with the same word are a group. */
function groupsOf(cases) {
  const wordOf = ({ id }) => id.split('-')[0]
  const groups = []
  for (const one of cases) {
    if (groups.length > 0 && wordOf(groups.at(-1)[0]) === wordOf(one)) groups.at(-1).push(one)
    else groups.push([one])
  }
  return groups
}

/** Plays all cases of the recording; `others` are the answers of another configuration, `null` for one that is not compared. */
async function replay(t, player, others = {}) {
  let compared = 0
  for (const cases of groupsOf(transcript.cases)) {
    const first = cases[0].id.replaceAll('-', '_')
    await t.test(`${first}_and_the_${cases.length - 1}_cases_after_it_answer_as_recorded`, async () => {
      const differences = []
      for (const one of cases) {
        const real = Object.hasOwn(others, one.id) ? others[one.id] : one.response
        const here = await player.play({ ...one, response: real ?? one.response })
        if (real === null) continue
        compared++
        try {
          assert.deepEqual(here, recordedAnswer(real))
        } catch (error) {
          differences.push(`${one.id}: ${error.message}`)
        }
      }
      assert.deepEqual(differences, [])
    })
  }
  return compared
}

test('every_recorded_answer_is_given_again', async (t) => {
  assert.equal(transcript.cases.length, 316)
  const { player } = await serve(t)
  assert.equal(await replay(t, player), 316)
})

test('every_answer_recorded_without_the_queue_is_given_again', async (t) => {
  const { cases } = transcript.otherConfigurations.find(({ label }) => /s3 backend, queue off/.test(label))
  const { player } = await serve(t, { queue: false })
  // Rows come back in any order there.
  assert.equal(await replay(t, player, { ...cases, 'remove-1001': null }), 315)
})

test('faults_answer_what_was_recorded_when_something_was_down', async (t) => {
  const { server, player } = await serve(t)
  const faultOf = ({ group, id }) => {
    if (group === 'table_locked_statement_timeout') return 'database-timeout'
    if (group === 'postgres_down') return 'database-down'
    return id.endsWith('remove') ? 'backend-down-remove' : id.endsWith('download') ? 'backend-down-read' : 'backend-down-write'
  }
  for (const failure of transcript.failures) {
    const [method, path] = failure.request.split(' ')
    server.control.fault({ answer: faultOf(failure) })
    const { status, bytes } = await player.send(method, path)
    assert.deepEqual({ status, body: JSON.parse(bytes) }, { status: failure.status, body: failure.body }, failure.id)
  }
  assert.equal(transcript.failures.length, 12)
})

// Behaviours: not one request and one answer

const behaviour = (id) => transcript.behaviours.find((one) => one.id === id)
const histogram = (values) => {
  const counts = {}
  for (const value of values.map(String).sort()) counts[value] = (counts[value] ?? 0) + 1
  return counts
}

/** An answer in short: `200`, or the two statuses and the legacy text of a refusal. */
function label({ status, bytes }) {
  if (status === 200) return '200'
  const { statusCode, error } = JSON.parse(bytes)
  return `${status}/${statusCode}/${error}`
}

async function bucketOn(player) {
  const answer = await player.send('POST', '/bucket', {
    headers: JSON_TYPE,
    bytes: Buffer.from(JSON.stringify({ id: BUCKET, name: BUCKET }))
  })
  assert.equal(answer.status, 200)
}

const content = (i) => Buffer.from(`w${String(i).padStart(2, '0')}`)

const put = (player, name, bytes, headers = {}) =>
  player.send('POST', `/object/${BUCKET}/${name}`, { headers: { ...OCTETS, ...headers }, bytes })
const get = (player, name) => player.send('GET', `/object/authenticated/${BUCKET}/${name}`)
const ask = (player, method, path, value) => player.send(method, path, { headers: JSON_TYPE, bytes: Buffer.from(JSON.stringify(value)) })
const shift = (player, way, sourceKey, destinationKey) =>
  ask(player, 'POST', `/object/${way}`, { bucketId: BUCKET, sourceKey, destinationKey })

/** Steps of each race: before (`prepare`), at once (`act`), and after (`check`). */
const RACES = {
  'race-create': {
    act: (player, round, i) => put(player, `race/create-${round}`, content(i)),
    async check(player, round, winners) {
      const { bytes } = await get(player, `race/create-${round}`)
      return winners.some((i) => content(i).equals(bytes)) ? 'stored is a reported winner' : 'stored is NOT a reported winner'
    }
  },
  'race-upsert': { act: (player, round, i) => put(player, `race/up-${round}`, content(i), { 'x-upsert': 'true' }) },
  'race-move': {
    prepare: (player, round, writers) => Promise.all(writers.map((i) => put(player, `race/mv-${round}-src-${i}`, content(i)))),
    act: (player, round, i) => shift(player, 'move', `race/mv-${round}-src-${i}`, `race/mv-${round}-dst`),
    async check(player, round, winners) {
      const { bytes } = await get(player, `race/mv-${round}-dst`)
      const left = await ask(player, 'POST', `/object/list/${BUCKET}`, { prefix: 'race', search: `mv-${round}-src-`, limit: 100 })
      const isWinners = winners.length === 1 && content(winners[0]).equals(bytes)
      return `stored is the winner's=${isWinners ? 'True' : 'False'} sources left=${JSON.parse(left.bytes).length}`
    }
  },
  'race-move-same-source': {
    prepare: (player, round) => put(player, `race/mvs-${round}`, Buffer.from('x')),
    act: (player, round, i) => shift(player, 'move', `race/mvs-${round}`, `race/mvs-${round}-dst-${i}`)
  },
  'race-remove': {
    prepare: (player, round) => put(player, `race/rm-${round}`, Buffer.from('x')),
    act: (player, round) => ask(player, 'DELETE', `/object/${BUCKET}`, { prefixes: [`race/rm-${round}`] }),
    isWin: ({ bytes }) => JSON.parse(bytes).length > 0
  },
  'race-copy': {
    prepare: (player, round, writers) => Promise.all(writers.map((i) => put(player, `race/cp-${round}-${i}`, content(i)))),
    act: (player, round, i) => shift(player, 'copy', `race/cp-${round}-${i}`, `race/cp-${round}-dst`)
  },
  'race-bucket-create': {
    act: (player, round) => ask(player, 'POST', '/bucket', { id: `rb-${round}`, name: `rb-${round}`, public: false })
  }
}

for (const [id, { prepare, act, check, isWin = () => true }] of Object.entries(RACES)) {
  test(`${id.replaceAll('-', '_')}_ends_as_recorded`, async (t) => {
    const { player } = await serve(t)
    await bucketOn(player)
    const { writers, rounds, winners_per_round: recordedWins, answers: recordedAnswers, extra } = behaviour(id)
    const all = Array.from({ length: writers }, (_, i) => i)
    const wins = []
    const answers = []
    const found = []
    for (let round = 0; round < rounds; round++) {
      await prepare?.(player, round, all)
      const got = await Promise.all(all.map((i) => act(player, round, i)))
      const winners = all.filter((i) => got[i].status === 200 && isWin(got[i]))
      wins.push(winners.length)
      answers.push(...got.map(label))
      if (check) found.push(await check(player, round, winners))
    }
    if (check) assert.deepEqual(histogram(found), extra)
    if (Object.keys(recordedWins).length === 1) {
      assert.deepEqual(histogram(wins), recordedWins)
      assert.deepEqual(histogram(answers), recordedAnswers)
    } else {
      // How many win hangs on the moment; that there are several does not.
      assert.ok(wins.every((count) => count >= 1) && wins.some((count) => count > 1), JSON.stringify(wins))
      assert.deepEqual(
        Object.keys(histogram(answers)).filter((one) => !Object.hasOwn(recordedAnswers, one)),
        []
      )
    }
  })
}

test('all_of_twenty_creates_win_when_none_is_stored_before_the_last_has_looked', async (t) => {
  const { server, player } = await serve(t)
  await bucketOn(player)
  const all = Array.from({ length: 20 }, (_, i) => i)
  for (const [at, act] of [
    ['upload', (i) => put(player, 'held/upload', content(i))],
    ['copy', (i) => shift(player, 'copy', `held/from-${i}`, 'held/copy')]
  ]) {
    for (const i of all) await put(player, `held/from-${i}`, content(i), { 'x-upsert': 'true' })
    server.control.hold({ at, count: all.length })
    const order = []
    const got = await Promise.all(all.map((i) => act(i).then((answer) => (order.push(i), answer))))
    assert.deepEqual(histogram(got.map(label)), { 200: 20 }, at)
    assert.equal(new Set(got.map(({ bytes }) => JSON.parse(bytes).Id)).size, 1, 'it is one row')
    assert.deepEqual((await get(player, `held/${at}`)).bytes, content(order.at(-1)), 'the last one is stored')
  }
})

test('row_keeps_its_id_through_overwrites_and_moves_and_every_change_is_a_new_version', async (t) => {
  const { player } = await serve(t)
  await bucketOn(player)
  const infoOf = async (name) => JSON.parse((await player.send('GET', `/object/info/authenticated/${BUCKET}/${name}`)).bytes)
  const metadata = { 'x-metadata': Buffer.from('{"nonce":"7"}').toString('base64') }
  const { Id } = JSON.parse((await put(player, 'row/a', content(1), metadata)).bytes)
  const seen = [await infoOf('row/a')]
  await put(player, 'row/a', content(2), { 'x-upsert': 'true', ...metadata })
  seen.push(await infoOf('row/a'))
  await shift(player, 'move', 'row/a', 'row/b')
  seen.push(await infoOf('row/b'))
  assert.deepEqual(
    seen.map(({ id, metadata }) => [id, metadata]),
    Array(3).fill([Id, { nonce: '7' }])
  )
  assert.equal(new Set(seen.map(({ version }) => version)).size, 3)
})

test('upload_cut_short_stores_nothing_and_keeps_the_old_object', async (t) => {
  const { server, player } = await serve(t)
  await bucketOn(player)
  await put(player, 'tr/old', Buffer.from('old'))
  const { hostname, port } = new URL(server.endpoint)
  for (const [name, upsert] of [
    ['new', ''],
    ['old', 'x-upsert: true\r\n']
  ]) {
    const socket = connect(Number(port), hostname)
    const head = `POST /storage/v1/object/${BUCKET}/tr/${name} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.keys.service}\r\n`
    socket.write(`${head}Content-Type: application/octet-stream\r\n${upsert}Content-Length: 100000\r\n\r\n`)
    socket.write(Buffer.alloc(10_000, 'z'), () => socket.end())
    await eventually(
      'the server to see that the client left',
      () => server.control.requests({ path: `/tr/${name}$`, status: 0 }).length === 1
    )
  }
  const [fresh, old] = [await get(player, 'tr/new'), await get(player, 'tr/old')]
  const found = { new_object_status: fresh.status, old_object_status: old.status, old_object_intact: old.bytes.equals(Buffer.from('old')) }
  const { id, note, ...recorded } = behaviour('upload-cut-short')
  assert.deepEqual(found, recorded)
})

/** Four readers of an object that one writer overwrites; what they met that was not one whole version of it. */
async function readWhileOverwritten(player) {
  const versions = Array.from({ length: 6 }, (_, i) => Buffer.alloc(1000 + 30_000 * i, 65 + i))
  const md5 = (bytes) => createHash('md5').update(bytes).digest('hex')
  await put(player, 'torn/x', versions[0])
  let over = false
  const bad = []
  const reader = async () => {
    while (!over) {
      const { status, headers, bytes } = await get(player, 'torn/x')
      if (status !== 200) bad.push(label({ status, bytes }))
      else if (!versions.some((version) => version.equals(bytes))) bad.push('mixed content')
      else if (headers.etag !== `"${md5(bytes)}"`) bad.push('etag of another version')
    }
  }
  const readers = Array.from({ length: 4 }, reader)
  for (let n = 0; n < 10; n++) for (const version of versions) await put(player, 'torn/x', version, { 'x-upsert': 'true' })
  over = true
  await Promise.all(readers)
  return histogram(bad)
}

test('overwrite_under_readers_is_whole_with_the_queue_and_meets_the_gap_without', async (t) => {
  const { bad } = behaviour('overwrite-under-readers')
  const withoutQueue = transcript.otherConfigurations.find(({ label }) => /s3 backend, queue off/.test(label)).behaviours
  const gap = Object.keys(withoutQueue.find(({ id }) => id === 'overwrite-under-readers').bad)
  for (const [queue, allowed] of [
    [true, Object.keys(bad)],
    [false, gap]
  ]) {
    const { server, player } = await serve(t, { queue })
    await bucketOn(player)
    assert.deepEqual(
      Object.keys(await readWhileOverwritten(player)).filter((one) => !allowed.includes(one)),
      []
    )
    // The same with one reader, which is held after it has seen the row and before it fetches the version.
    const id = server.control.hold({ at: 'download' })
    const late = get(player, 'torn/x')
    await server.control.gathered({ id })
    await put(player, 'torn/x', Buffer.from('new'), { 'x-upsert': 'true' })
    server.control.release({ id })
    assert.equal(label(await late), queue ? '200' : gap[0])
    assert.equal((await get(player, 'torn/x')).bytes.toString(), 'new')
  }
  assert.deepEqual(gap, ['400/404/Not found'])
})
