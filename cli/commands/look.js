'use strict'

// Looking: what there is in the store, and on this machine.
//
// Invariant: nothing here claims a session or writes anything.

const { EXIT, explain } = require('../exit.js')
const { age, count, plural, size } = require('../output.js')
const { failureOf } = require('../tenants.js')

/** Names of owners; nobody can tell from a store whether one that did not release still runs. */
const OWNERS = { live: 'in use', released: 'free', deleted: 'deleted', none: 'none' }

async function list({ output, fleet }) {
  const tenants = await fleet.tenants()
  output.result({ ok: true, tenants }, () => tenants.forEach((tenantId) => output.line(output.printable(tenantId))))
}

async function status({ asked, output, fleet }, named) {
  const found = await fleet.survey(named.length > 0 ? { tenantIds: new Set(named) } : {})
  const shown = found.filter(({ owner }) => named.length > 0 || asked.deleted === true || owner !== 'deleted')
  const missing = shown.filter(({ owner }) => owner === 'none').length
  const totals = Object.fromEntries(Object.keys(OWNERS).map((owner) => [owner, found.filter((tenant) => tenant.owner === owner).length]))
  const omitted = found.length - shown.length
  const document = { ok: missing === 0, total: found.length, totals, omitted, tenants: shown.map(({ isOpen, ...tenant }) => tenant) }
  output.result(document, () => {
    if (shown.length === 0) return output.line('There are no sessions.')
    output.table(shown, [
      { title: 'TENANT', of: ({ tenantId, name }) => tenantId ?? `(hidden) ${name}` },
      {
        title: 'OWNER',
        of: ({ owner }) => OWNERS[owner],
        paint: ({ owner }, { green, red, yellow }) => ({ live: green, released: String, deleted: yellow, none: red })[owner]
      },
      { title: 'STORED', right: true, of: ({ storedAt }) => (storedAt === null ? '' : `${age(storedAt)} ago`) },
      { title: 'EPOCH', right: true, of: ({ epoch }) => epoch ?? '' },
      { title: 'LSN', right: true, of: ({ lsn }) => lsn ?? '' }
    ])
    output.line(
      `${plural(shown.length, 'tenant')}: ${count(totals.live)} in use, ${count(totals.released)} free, ${count(totals.deleted)} deleted.`
    )
  })
  return missing === 0 ? EXIT.done : EXIT.wrong
}

const ago = (moment) => (moment === null ? undefined : `${age(moment)} ago (${moment.toISOString()})`)

/** One value of several, or none. */
const listed = (values) => (values.length === 0 ? undefined : values.join(', '))

function storePairs(store) {
  const { contents, bases, segments } = store
  return [
    ['owner', OWNERS[store.owner]],
    ['epoch', store.epoch],
    ['last write', store.lsn === null ? undefined : `LSN ${store.lsn}`],
    ['stored', ago(store.storedAt)],
    ['claimed', ago(store.claimedAt)],
    [store.owner === 'deleted' ? 'deleted' : 'released', ago(store.endedAt)],
    ['objects', `${plural(bases.count, 'base')} of ${size(bases.bytes)}, ${plural(segments.count, 'segment')} of ${size(segments.bytes)}`],
    ['keys', contents && count(contents.keys)],
    ['size', contents && size(contents.bytes)],
    ['can be restored in', contents && plural(contents.ways, 'way')],
    ['ended properly', contents && (contents.clean ? 'yes' : 'no, or it runs')],
    ['sealed with', listed(store.keyIds)]
  ]
}

const PLACES = { here: 'by this process', elsewhere: 'by another process of this machine', nobody: 'by no process' }

const localPairs = (local) => [
  ['open', PLACES[local.open]],
  ['epoch', local.epoch],
  ['last write', local.lsn === null ? undefined : `LSN ${local.lsn}`],
  ['log', size(local.logBytes)],
  ['sealed with', listed(local.keyIds)]
]

function typesTable(output, types) {
  const rows = Object.entries(types)
    .map(([type, share]) => ({ type, ...share }))
    .sort((a, b) => b.bytes - a.bytes)
  output.table(rows, [
    { title: 'TYPE', of: ({ type }) => type },
    { title: 'KEYS', right: true, of: ({ keys }) => count(keys) },
    { title: 'SIZE', right: true, of: ({ bytes }) => size(bytes) }
  ])
}

function unknown() {
  const { HybridAuthError } = require('../../lib/errors.js')
  return new HybridAuthError('NOT_FOUND', 'neither the store nor this machine has a session of this tenant')
}

async function inspect({ output, fleet }, tenantId) {
  const { store, local } = await fleet.inspect(tenantId)
  const errors = [store?.error, local?.error].filter(Boolean)
  const isThere = (store !== null && store.owner !== 'none') || local !== null
  const damage = store?.damage ?? []
  const told = (part) => part && { ...part, error: part.error === null ? null : failureOf(part.error) }
  const nowhere = isThere ? null : unknown()
  const document = {
    ok: isThere && errors.length === 0 && damage.length === 0,
    tenantId,
    ...(nowhere && { error: failureOf(nowhere) }),
    store: told(store),
    local: told(local)
  }
  output.result(document, () => {
    const { bold } = output.out
    const tellError = (part) =>
      part.error && output.text(`${part.error.code}: ${explain(part.error).message}. ${explain(part.error).advice}`)
    if (store !== null) {
      output.line(bold('IN THE STORE'))
      if (store.owner === 'none') output.line('nothing')
      else output.pairs(storePairs(store))
      tellError(store)
      for (const one of damage) output.text(`damage: ${one}`)
      if (store.contents) {
        output.line()
        typesTable(output, store.contents.types)
      }
      output.line()
    }
    output.line(bold('ON THIS MACHINE'))
    if (local === null) output.line('nothing')
    else {
      output.pairs(localPairs(local))
      tellError(local)
    }
    if (nowhere !== null) tellError({ error: nowhere })
  })
  if (!isThere) return EXIT.wrong
  if (store?.error) return explain(store.error).exit
  return document.ok ? EXIT.done : EXIT.wrong
}

module.exports = {
  heading: 'Look:',
  commands(define) {
    define('status [tenants...]', {
      summary: 'the owner of each session, and its last backup',
      description:
        'Prints for these tenants, or all in the store: in use (an instance is running, or ended without closing) or free, the last ' +
        'backup, and the last write. Needs only listings.',
      options: [['--deleted', 'include deleted ones']],
      examples: [
        ['status', 'all tenants'],
        ['status tenant-42 --json', 'one of them, for a program']
      ],
      action: status
    })
    define('list', {
      summary: 'print the tenants in the store, one per line',
      description: 'Prints the ids of the tenants with a session in the store, one per line, without deleted ones.',
      examples: [
        ['list', 'all tenants'],
        ['list | wc -l', 'count them']
      ],
      action: list
    })
    define('inspect <tenant>', {
      summary: 'everything about one session, in the store and on this machine',
      description:
        'Prints what the store and this machine have of a session: owner, times, objects, keys by type, damage, and the ids of the ' +
        'encryption keys required to read it. Downloads it; claims and writes nothing.',
      options: [['--local', 'this machine only, without a store']],
      examples: [
        ['inspect tenant-42', 'for an operator'],
        ['inspect tenant-42 --json', 'for a program: `store.keyIds` are the keys that it needs']
      ],
      action: inspect
    })
  }
}
