'use strict'

// The tenants of a command, their owners, and the report of each result.
//
// Invariant: a session that another instance has not released is not opened from here unless the user said so: an
// operator's command must not fence a running service by accident.

const { EXIT, UsageError, exitOfAll, explain, inFlags } = require('./exit.js')
const { plural } = require('./output.js')
const { isProfileTenant } = require('../lib/profile-tenants.js')

const unique = (names) => [...new Set(names)]

/** The tenants that were named, each once; all of the store when none was, or all were asked for. */
async function tenantsOf(fleet, named, { all }) {
  if (all && named.length > 0) throw new UsageError('both tenants and --all are given', 'Use one of the two.')
  return named.length > 0 ? unique(named) : fleet.tenants()
}

/**
 * The same where all have to be asked for: for what changes something.
 * @param {object} fleet
 * @param {string[]} named
 * @param {{ all?: boolean }} asked
 */
async function tenantsAskedFor(fleet, named, { all }) {
  if (!all && named.length === 0) throw new UsageError('no tenant is given', 'Name tenants, or use --all.')
  return tenantsOf(fleet, named, { all })
}

/** The same for what opens sessions of Baileys: of all tenants, profiles of browsers are none. */
async function sessionsAskedFor(fleet, named, asked) {
  const tenants = await tenantsAskedFor(fleet, named, asked)
  return named.length > 0 ? tenants : tenants.filter((tenantId) => !isProfileTenant(tenantId))
}

/**
 * The fleet to open a tenant with, unless an instance has not released it and the user does not take it: rejects with
 * OWNED_ELSEWHERE then, or with ALREADY_OPEN if that instance is a process of this machine. An instance that comes back after this
 * look is not fenced: the session is left alone in that case.
 */
async function released(context, fleet, tenantId) {
  const { takeover, local } = context.asked
  if (takeover || local) return fleet
  const { judging, listed } = require('../lib/fleet/fleet.js')
  const [{ owner, claim }] = await listed(fleet, [tenantId])
  // Any other fault is for the open to find out.
  if (owner !== 'live') return claim === null ? fleet : judging(fleet, claim)
  const { HybridAuthError } = require('../lib/errors.js')
  if (!context.resolved.cloud && (await context.isOpenHere(tenantId)))
    throw new HybridAuthError('ALREADY_OPEN', 'a process of this machine has this session open')
  throw new HybridAuthError('OWNED_ELSEWHERE', 'an instance has not released this session: it is running, or it ended without closing')
}

/** A failure as the document has it. */
function failureOf(error) {
  const { code, message, advice } = explain(error)
  return { code, message, advice }
}

/**
 * Tells what came of each tenant, and answers the exit code.
 * @param {any} output
 * @param {{ item: string, value?: any, error?: any }[]} results
 * @param {object} how
 * @param {(value: any) => boolean} [how.isGood] true for a value that passes
 * @param {string | ((value: any) => string)} how.word its name in the column RESULT
 * @param {string} [how.badWord] the name of a value that does not pass
 * @param {{ title: string, right?: boolean, of: (value: any) => string }[]} how.columns more columns
 * @param {(value: any) => object} how.fields the fields of a value in the document
 * @param {(good: number, bad: number) => string} how.summary the last line
 * @param {(value: any) => string[]} [how.details] lines below the table
 * @param {object} [how.document] more fields of the document itself
 */
function tell(output, results, { isGood = () => true, word, badWord, columns, fields, summary, details = () => [], document = {} }) {
  /** @param {{ value?: any, error?: any }} result */
  const good = ({ value, error }) => error === undefined && isGood(value)
  const wordOf = (result) => (typeof word === 'function' ? word(result.value) : good(result) ? word : badWord)
  const failed = results.filter((result) => !good(result))
  const tenants = results.map((result) => ({
    tenantId: result.item,
    ok: good(result),
    ...(result.error === undefined ? fields(result.value) : { error: failureOf(result.error) })
  }))
  output.result({ ok: failed.length === 0, total: results.length, failed: failed.length, ...document, tenants }, () => {
    if (results.length === 0) return output.line('There are no sessions.')
    output.table(results, [
      { title: 'TENANT', of: ({ item }) => item },
      {
        title: 'RESULT',
        of: (result) => (result.error === undefined ? wordOf(result) : explain(result.error).code),
        paint: (result, { green, red }) => (good(result) ? green : red)
      },
      ...columns.map((column) => ({ ...column, of: ({ value }) => (value === undefined ? '' : column.of(value)) }))
    ])
    for (const { item, value, error } of results) {
      const lines = error === undefined ? details(value).map(inFlags) : [sentence(error)]
      for (const line of lines) output.text(`${item}: ${line}`)
    }
    output.text(summary(results.length - failed.length, failed.length))
  })
  const errors = results.flatMap(({ error }) => (error === undefined ? [] : [error]))
  return errors.length < failed.length ? EXIT.wrong : exitOfAll(errors)
}

function sentence(error) {
  const { code, message, advice } = explain(error)
  return `${code}: ${/[.!?]$/.test(message) ? message : `${message}.`} ${advice}`
}

/** `summary` of `tell`: "3 tenants restored.", "2 of 3 tenants restored, 1 failed." */
const counted = (verb) => (good, bad) =>
  bad === 0 ? `${plural(good, 'tenant')} ${verb}.` : `${good} of ${plural(good + bad, 'tenant')} ${verb}, ${bad} failed.`

module.exports = { tenantsOf, sessionsAskedFor, tenantsAskedFor, released, tell, counted, failureOf }
