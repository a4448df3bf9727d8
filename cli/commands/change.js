'use strict'

// Changes to the stored sessions: deleting, pruning, encrypting with another key.
//
// Invariant: nothing is deleted unless a person confirmed it, or a script said --yes or --apply; and what another instance has
// not released is left alone unless that is asked for.

const { InvalidArgumentError, Option } = require('commander')
const { confirm } = require('../ask.js')
const { EXIT, exitOfAll, explain } = require('../exit.js')
const { age, count, plural, printable, size } = require('../output.js')
const { counted, failureOf, released, sessionsAskedFor, tell, tenantsAskedFor } = require('../tenants.js')
const { forEach } = require('../work.js')

async function remove(context, named) {
  const { asked, output, fleet } = context
  const tenants = await tenantsAskedFor(fleet, named, {})
  const isOne = tenants.length === 1
  const what = isOne
    ? `the session of ${printable(tenants[0])}`
    : `the sessions of ${tenants.length} tenants (${tenants.map(printable).join(', ')})`
  const word = isOne ? printable(tenants[0]) : String(tenants.length)
  const question = `This deletes ${what} for good, in the store and here; the account must then be paired again.\nType ${word} to continue:`
  await confirm(output, question, word, asked)
  const destroy = async (tenantId) => {
    const judged = await released(context, fleet, tenantId)
    await judged.delete(tenantId)
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
  const results = await forEach(context, going, one, { title: 'prune', changes: true, concurrency: 4, done: 'Checked' })
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
    if (sessions.length === 0) return output.line('No session is that old.')
    output.table(sessions, [
      { title: 'TENANT', of: ({ tenantId, name }) => tenantId ?? `(hidden) ${name}` },
      { title: 'OUTCOME', of: ({ outcome }) => OUTCOMES[outcome], paint: ({ outcome }, { red }) => (outcome === 'failed' ? red : String) },
      { title: 'STORED', right: true, of: ({ storedAt }) => `${age(storedAt)} ago` }
    ])
    for (const { tenantId, error } of failed)
      output.text(`${tenantId}: ${explain(error).code}: ${explain(error).message}. ${explain(error).advice}`)
    const deleted = applied ? `${count(total('deleted'))} deleted` : `${count(total('would-delete'))} would be deleted`
    const kept = total('active') + total('open') + total('unnamed')
    output.text(`${plural(sessions.length, 'session')} that old: ${deleted}, ${count(kept)} kept, ${count(failed.length)} failed.`)
  })
  if (!applied) output.note('Nothing was deleted: this was a dry run. Use --apply to delete them.')
  return failed.length === 0 ? EXIT.done : exitOfAll(failed.map(({ error }) => error))
}

async function pruneKeys(context, named) {
  const { asked, output, fleet } = context
  const tenants = await sessionsAskedFor(fleet, named, asked)
  const options = {
    dryRun: asked.apply !== true,
    preKeyWindow: asked.preKeyWindow,
    closedSessionsOlderThanDays: asked.closedOlderThan,
    closedSessionsKept: asked.closedKept
  }
  const work = async (tenantId) => {
    const judged = await released(context, fleet, tenantId)
    return judged.pruneKeys(tenantId, options)
  }
  const results = await forEach(context, tenants, work, { title: 'prune keys', changes: true, concurrency: 4, done: 'Pruned' })
  const code = tell(output, results, {
    word: options.dryRun ? 'checked' : 'pruned',
    columns: [
      { title: 'PRE-KEYS', right: true, of: ({ preKeys }) => count(preKeys.removed) },
      { title: 'KEPT', right: true, of: ({ preKeys }) => count(preKeys.kept) },
      { title: 'CLOSED SESSIONS', right: true, of: ({ closedSessions }) => count(closedSessions.removed) },
      { title: 'KEPT', right: true, of: ({ closedSessions }) => count(closedSessions.kept) },
      { title: 'SIZE', right: true, of: ({ preKeys, closedSessions }) => size(preKeys.bytes + closedSessions.bytes) }
    ],
    fields: ({ preKeys, closedSessions }) => ({ preKeys, closedSessions }),
    summary: counted(options.dryRun ? 'checked' : 'pruned'),
    document: { applied: !options.dryRun }
  })
  if (options.dryRun) output.note('Nothing was removed: this was a dry run. --apply removes exactly these.')
  return code
}

async function rekey(context, named) {
  const { asked, output, fleet, resolved } = context
  const tenants = await tenantsAskedFor(fleet, named, asked)
  const how = { title: 'rekey', changes: true, concurrency: 4, done: 'Re-encrypted' }
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
    word: 're-encrypted',
    badWord: 'needs older keys',
    columns: [{ title: 'READ WITH', of: ({ needed }) => needed.join(', ') }],
    fields: (value) => value,
    // All that is in the store was stored anew: what is left is a log that no session in this mode touches.
    details: ({ complete }) =>
      complete || !resolved.cloud
        ? []
        : ['another mode left a log of it on this machine: move its folder away, and the older key is no longer needed'],
    summary: (good, bad) => {
      const said = counted('re-encrypted')(good, bad)
      if (unneeded === null) return `${said} Use --all to learn which keys are no longer needed.`
      return unneeded.length === 0
        ? `${said} Every key given is needed.`
        : `${said} No longer needed by the store and this machine: ${unneeded.join(', ')}. Logs on the disks of other machines are not seen.`
    },
    document: { unneeded }
  })
}

module.exports = {
  heading: 'Change:',
  commands(define) {
    define('delete <tenants...>', {
      summary: 'log sessions out for good, after a confirmation',
      description:
        'Deletes the sessions of these tenants for good, in the store and on this machine, and leaves a tombstone, so that no forgotten ' +
        'disk brings them back. The accounts have to be paired again.',
      options: [
        ['-y, --yes', 'do not ask'],
        ['--takeover', 'also delete sessions that another instance has not released']
      ],
      examples: [
        ['delete tenant-42', 'asks you to type the tenant id'],
        ['delete tenant-42 tenant-43 --yes', 'for scripts']
      ],
      action: remove
    })
    define('prune', {
      summary: 'delete long unused sessions; a dry run without --apply',
      description:
        'Finds sessions whose newest object is older than this, and with --apply deletes them for good, as `delete` does. A session that ' +
        'an instance has not released may be running; it is kept, unless it has been silent for longer than any running one.',
      options: [
        new Option('--older-than <age>', 'such as 30d, 8w or 12h').argParser(days).makeOptionMandatory(),
        ['--inactive-only', 'keep sessions that may be running (default)'],
        ['--no-inactive-only', 'also delete sessions that may be running'],
        ['--apply', 'delete them']
      ],
      examples: [
        ['prune --older-than 30d --inactive-only', 'what would be deleted'],
        ['prune --older-than 30d --inactive-only --apply', 'delete it']
      ],
      action: prune
    })
    define('prune-keys [tenants...]', {
      summary: 'remove keys that nobody can need any more; a dry run without --apply',
      description:
        'Removes pre-keys that the server cannot hand out any more, and long closed sessions with contacts; Baileys keeps both ' +
        'forever. Opens and closes the sessions of these tenants. Without --apply, prints what would be removed.',
      options: [
        ['--all', 'all tenants in the store'],
        new Option('--pre-key-window <ids>', 'how many of the last pre-key ids to keep; default 1624, at least 812').argParser(whole),
        new Option('--closed-older-than <age>', 'how long to keep a closed session with a contact; default 90d, at least 30d').argParser(
          days
        ),
        new Option('--closed-kept <count>', 'how many closed sessions to keep per contact, regardless of age; default 5').argParser(whole),
        ['--apply', 'remove them'],
        ['--takeover', 'also open sessions that another instance has not released']
      ],
      examples: [
        ['prune-keys --all', 'what would be removed'],
        ['prune-keys tenant-42 --apply', 'remove it']
      ],
      action: pruneKeys
    })
    define('rekey [tenants...]', {
      summary: 'seal sessions with the first key, so that older keys can be removed',
      description:
        'Stores these sessions again under the first encryption key, and lists the older keys that are no longer needed. Put the new key first and ' +
        'keep the old ones until then. A session that an instance has not released is left to that instance, whose next opens do the same.',
      options: [
        ['--all', 'all tenants in the store'],
        ['--takeover', 'also take sessions that another instance has not released']
      ],
      examples: [
        ['rekey --all --key-file keys.txt', 'keys.txt: the new key in the first line, the old one in the second'],
        ['rekey tenant-42', 'one of them']
      ],
      action: rekey
    })
  }
}
