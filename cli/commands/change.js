'use strict'

// Changing what is stored: deleting sessions, clearing old ones away, sealing with another key.
//
// Invariant: nothing is deleted unless a person confirmed it, or a script said --yes or --apply; and what another instance has
// not released is left alone unless that is asked for.

const { InvalidArgumentError, Option } = require('commander')
const { confirm } = require('../ask.js')
const { EXIT, exitOfAll, explain } = require('../exit.js')
const { age, count, plural, printable, size } = require('../output.js')
const { counted, failureOf, mustBeReleased, tell, tenantsAskedFor } = require('../tenants.js')
const { forEach } = require('../work.js')

async function remove(context, named) {
  const { asked, output, fleet } = context
  const tenants = await tenantsAskedFor(fleet, named, {})
  const isOne = tenants.length === 1
  const what = isOne ? `the session of ${printable(tenants[0])}` : `the sessions of ${tenants.length} tenants (${tenants.map(printable).join(', ')})`
  const word = isOne ? printable(tenants[0]) : String(tenants.length)
  const question = `This deletes ${what} for good, in the store and here; to use the account again it must be paired again.\nType ${word} to go on:`
  await confirm(output, question, word, asked)
  const destroy = async (tenantId) => {
    await mustBeReleased(fleet, tenantId, asked)
    await fleet.delete(tenantId)
  }
  const results = await forEach(context, tenants, destroy, { title: 'delete', changes: true, concurrency: 4, done: 'Deleted' })
  return tell(output, results, { word: 'deleted', columns: [], fields: () => ({}), summary: counted('deleted') })
}

const DAYS = { h: 1 / 24, d: 1, w: 7 }

function whole(text) {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('Write a whole number.')
  return Number(text)
}

/** '30d' -> 30. */
function days(text) {
  const [, number, unit] = text.match(/^(\d{1,5})([hdw])$/) ?? []
  if (unit === undefined || Number(number) === 0) throw new InvalidArgumentError('Write hours, days or weeks, such as 12h, 30d or 8w.')
  return Number(number) * DAYS[unit]
}

const OUTCOMES = {
  'would-delete': 'would be deleted',
  deleted: 'deleted',
  active: 'kept: may run',
  open: 'kept: open here',
  unnamed: 'kept: its id is not known',
  failed: 'failed'
}

/** Deletes what a dry run found, one after another, each decided once more. */
async function pruneFound(context, fleet, found, how) {
  const going = found.filter(({ outcome }) => outcome === 'would-delete').map(({ tenantId }) => tenantId)
  const one = async (tenantId) => (await fleet.prune({ ...how, dryRun: false, tenantIds: [tenantId] }))[0]
  const results = await forEach(context, going, one, { title: 'prune', changes: true, concurrency: 4, done: 'Looked at' })
  const outcomes = new Map(results.map((result) => [result.item, result]))
  return found.map((entry) => {
    const { value, error } = outcomes.get(entry.tenantId) ?? { value: entry }
    // One that was stored meanwhile is old no more.
    return error === undefined ? (value ?? { ...entry, outcome: 'active' }) : { ...entry, outcome: 'failed', error }
  })
}

async function prune(context) {
  const { asked, output, fleet } = context
  const applied = asked.apply === true
  const how = { olderThanDays: asked.olderThan, inactiveOnly: asked.inactiveOnly !== false }
  const found = await fleet.prune({ ...how, dryRun: true })
  const sessions = applied ? await pruneFound(context, fleet, found, how) : found
  const failed = sessions.filter(({ outcome }) => outcome === 'failed')
  const told = sessions.map(({ error, ...session }) => ({ ...session, error: error === null ? null : failureOf(error) }))
  const total = (outcome) => sessions.filter((session) => session.outcome === outcome).length
  output.result({ ok: failed.length === 0, applied, olderThanDays: asked.olderThan, sessions: told }, () => {
    if (sessions.length === 0) return output.line('No session is as old as that.')
    output.table(sessions, [
      { title: 'TENANT', of: ({ tenantId, name }) => tenantId ?? `(hidden) ${name}` },
      { title: 'OUTCOME', of: ({ outcome }) => OUTCOMES[outcome], paint: ({ outcome }, { red }) => (outcome === 'failed' ? red : String) },
      { title: 'STORED', right: true, of: ({ storedAt }) => `${age(storedAt)} ago` }
    ])
    for (const { tenantId, error } of failed) output.line(printable(`${tenantId}: ${explain(error).code}: ${explain(error).message}. ${explain(error).advice}`))
    const deleted = applied ? `${count(total('deleted'))} deleted` : `${count(total('would-delete'))} would be deleted`
    const kept = total('active') + total('open') + total('unnamed')
    output.line(`${plural(sessions.length, 'session')} as old as that: ${deleted}, ${count(kept)} kept, ${count(failed.length)} failed.`)
  })
  if (!applied) output.note('Nothing was deleted: this was a dry run. Say --apply to delete them.')
  return failed.length === 0 ? EXIT.done : exitOfAll(failed.map(({ error }) => error))
}

async function pruneKeys(context, named) {
  const { asked, output, fleet } = context
  const tenants = await tenantsAskedFor(fleet, named, asked)
  const options = {
    dryRun: asked.apply !== true,
    preKeyWindow: asked.preKeyWindow,
    closedSessionsOlderThanDays: asked.closedOlderThan,
    closedSessionsKept: asked.closedKept
  }
  const work = async (tenantId) => {
    await mustBeReleased(fleet, tenantId, asked)
    return fleet.pruneKeys(tenantId, options)
  }
  const results = await forEach(context, tenants, work, { title: 'prune keys', changes: true, concurrency: 4, done: 'Pruned' })
  const code = tell(output, results, {
    word: options.dryRun ? 'looked at' : 'pruned',
    columns: [
      { title: 'PRE-KEYS', right: true, of: ({ preKeys }) => count(preKeys.removed) },
      { title: 'KEPT', right: true, of: ({ preKeys }) => count(preKeys.kept) },
      { title: 'CLOSED SESSIONS', right: true, of: ({ closedSessions }) => count(closedSessions.removed) },
      { title: 'KEPT', right: true, of: ({ closedSessions }) => count(closedSessions.kept) },
      { title: 'SIZE', right: true, of: ({ preKeys, closedSessions }) => size(preKeys.bytes + closedSessions.bytes) }
    ],
    fields: ({ preKeys, closedSessions }) => ({ preKeys, closedSessions }),
    summary: counted(options.dryRun ? 'looked at' : 'pruned'),
    document: { applied: !options.dryRun }
  })
  if (options.dryRun) output.note('Nothing was removed: this was a dry run. --apply removes exactly these.')
  return code
}

async function rekey(context, named) {
  const { asked, output, fleet, resolved } = context
  const tenants = await tenantsAskedFor(fleet, named, asked)
  const how = { title: 'rekey', changes: true, concurrency: 4, done: 'Sealed anew' }
  const seal = async (tenantId) => {
    // An open waits for what an instance that runs hands over; being taken over by the tool itself would not.
    if (asked.takeover) await (await fleet.open(tenantId)).close()
    return fleet.rekey(tenantId)
  }
  const results = await forEach(context, tenants, seal, how)
  // A key can go when no session of the store needs it: that is known only when all were looked at.
  const isAll = asked.all === true && results.every(({ value }) => value !== undefined)
  const ids = results.map(({ value }) => value?.unneeded ?? [])
  const unneeded = isAll && results.length > 0 ? ids.reduce((all, some) => all.filter((id) => some.includes(id))) : null
  return tell(output, results, {
    isGood: ({ complete }) => complete,
    word: 'sealed anew',
    badWord: 'needs older keys',
    columns: [{ title: 'READ WITH', of: ({ needed }) => needed.join(', ') }],
    fields: (value) => value,
    // All that is in the store was stored anew: what is left is a log that no session in this mode touches.
    details: ({ complete }) => (complete || !resolved.cloud ? [] : ['another mode left a log of it on this machine: move its folder away, and the older key is needed no more']),
    summary: (good, bad) => {
      const said = counted('sealed anew')(good, bad)
      if (unneeded === null) return `${said} With --all it is known which keys are needed no more.`
      return unneeded.length === 0 ? `${said} Every key given is needed.` : `${said} Needed no more: ${unneeded.join(', ')}.`
    },
    document: { unneeded }
  })
}

module.exports = {
  heading: 'Change:',
  commands(define) {
    define('delete <tenants...>', {
      summary: 'log sessions out for good; asks',
      description:
        'Deletes the sessions of these tenants for good, in the store and on this machine, and leaves a tombstone, so that no forgotten ' +
        'disk brings them back. The accounts have to be paired again.',
      options: [
        ['-y, --yes', 'do not ask'],
        ['--takeover', 'delete sessions too that another instance has not released']
      ],
      examples: [
        ['delete tenant-42', 'asks for the tenant id to be typed'],
        ['delete tenant-42 tenant-43 --yes', 'for scripts']
      ],
      action: remove
    })
    define('prune', {
      summary: 'delete sessions that were not stored for long; a dry run unless --apply',
      description:
        'Finds sessions whose newest object is older than this, and with --apply deletes them for good, as `delete` does. A session that ' +
        'an instance has not released may run, and is kept unless it was silent for longer than any that runs.',
      options: [
        new Option('--older-than <age>', 'such as 30d, 8w or 12h').argParser(days).makeOptionMandatory(),
        ['--inactive-only', 'keep those that may run; this is so anyway'],
        ['--no-inactive-only', 'delete those too that may run'],
        ['--apply', 'delete them']
      ],
      examples: [
        ['prune --older-than 30d --inactive-only', 'what would be deleted'],
        ['prune --older-than 30d --inactive-only --apply', 'delete it']
      ],
      action: prune
    })
    define('prune-keys [tenants...]', {
      summary: 'remove keys that nobody can be waiting for; a dry run unless --apply',
      description:
        'Removes pre-keys that the server cannot hand out any more, and sessions with contacts that were closed long ago: Baileys keeps both for ' +
        'ever. Opens and closes the sessions of these tenants for it. Without --apply it tells what would go.',
      options: [
        ['--all', 'all tenants of the store'],
        new Option('--pre-key-window <ids>', 'how many of the last pre-key ids stay; 1624 if this is left out, 812 at least').argParser(whole),
        new Option('--closed-older-than <age>', 'how long a closed session with a contact is kept; 90d if this is left out, 30d at least').argParser(days),
        new Option('--closed-kept <count>', 'how many closed sessions of a contact stay however old; 5 if this is left out').argParser(whole),
        ['--apply', 'remove them'],
        ['--takeover', 'open sessions too that another instance has not released']
      ],
      examples: [
        ['prune-keys --all', 'what would go'],
        ['prune-keys tenant-42 --apply', 'let it go']
      ],
      action: pruneKeys
    })
    define('rekey [tenants...]', {
      summary: 'seal sessions with the first key, so that older keys can go',
      description:
        'Stores these sessions anew under the first encryption key, and says which older keys are needed no more. Put the new key first and ' +
        'keep the old ones until then. A session that an instance has not released is left to it: it does the same when it is opened twice.',
      options: [['--all', 'all tenants of the store'], ['--takeover', 'take sessions too that another instance has not released']],
      examples: [
        ['rekey --all --key-file keys.txt', 'keys.txt: the new key in the first line, the old one in the second'],
        ['rekey tenant-42', 'one of them']
      ],
      action: rekey
    })
  }
}
