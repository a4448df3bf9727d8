'use strict'

// Checks of the stored sessions: can they be restored?
//
// Invariant: nothing here claims a session or writes to the store of one.

const { existsSync } = require('node:fs')
const { EXIT } = require('../exit.js')
const { count, duration, plural, size } = require('../output.js')
const { tell, tenantsOf } = require('../tenants.js')
const { forEach } = require('../work.js')

async function verify(context, named) {
  const { asked, output, fleet } = context
  const tenants = await tenantsOf(fleet, named, asked)
  const results = await forEach(context, tenants, (tenantId) => fleet.verify(tenantId), { title: 'verify', done: 'Checked' })
  return tell(output, results, {
    // Damage that a restore would survive is damage.
    isGood: ({ damage }) => damage.length === 0,
    word: 'sound',
    badWord: 'damaged',
    columns: [
      { title: 'KEYS', right: true, of: ({ keys }) => count(keys) },
      { title: 'SIZE', right: true, of: ({ bytes }) => size(bytes) },
      { title: 'OBJECTS', right: true, of: ({ objects }) => count(objects) },
      { title: 'WAYS', right: true, of: ({ ways }) => count(ways) },
      { title: 'LSN', right: true, of: ({ lsn }) => String(lsn) },
      { title: 'ENDED', of: ({ clean }) => (clean ? 'properly' : 'not yet') }
    ],
    fields: (report) => ({ report }),
    details: ({ damage }) => damage,
    summary: (good, bad) => `${plural(good + bad, 'tenant')} checked: ${bad === 0 ? 'all sound' : `${bad} not sound`}.`
  })
}

const OWNERS = { memory: 'the same', log: 'the same', elsewhere: 'not available' }

/** Tenants that are drilled at once: each is a download and a disk's work. */
const DRILLS = 2

async function drill(context, named) {
  const { asked, output, fleet } = context
  const tenants = await tenantsOf(fleet, named, asked)
  const how = { title: 'drill', concurrency: DRILLS, changes: true, done: 'Drilled' }
  const results = await forEach(context, tenants, (tenantId) => fleet.drill(tenantId), how)
  return tell(output, results, {
    isGood: ({ ok }) => ok,
    word: 'restored',
    badWord: 'DIFFERS',
    columns: [
      { title: 'KEYS', right: true, of: ({ keys }) => count(keys) },
      { title: 'SIZE', right: true, of: ({ bytes }) => size(bytes) },
      { title: 'LSN', right: true, of: ({ lsn }) => String(lsn) },
      { title: 'TOOK', right: true, of: ({ ms }) => duration(Object.values(ms).reduce((all, step) => all + step, 0)) },
      { title: 'THE OWNER HAS', of: ({ owner, ok }) => (ok ? OWNERS[owner] : '') }
    ],
    fields: (report) => ({ report }),
    details: ({ problems }) => problems,
    summary: (good, bad) => `${plural(good + bad, 'restore')} drilled: ${bad === 0 ? 'all good' : `${bad} not good`}.`
  })
}

const ALL = ['--all', 'all tenants in the store (default)']

const PAINT = { ok: 'green', warning: 'yellow', failed: 'red', unknown: 'dim' }

/** The folder in which whatsapp-web.js keeps profiles by default, where there is one. */
const usualProfiles = () => (existsSync('.wwebjs_auth') ? '.wwebjs_auth' : undefined)

async function doctor({ asked, output, fleet }) {
  const dataPath = asked.profiles ?? usualProfiles()
  const checks = await fleet.doctor({ ...(dataPath === undefined ? {} : { dataPath }), contract: asked.contract === true })
  const failed = checks.filter(({ outcome }) => outcome === 'failed')
  const total = (outcome) => checks.filter((check) => check.outcome === outcome).length
  const totals = Object.fromEntries(Object.keys(PAINT).map((outcome) => [outcome, total(outcome)]))
  output.result({ ok: failed.length === 0, totals, checks }, () => {
    output.table(checks, [
      { title: 'CHECK', of: ({ name }) => name },
      { title: 'OUTCOME', of: ({ outcome }) => outcome, paint: ({ outcome }, colors) => colors[PAINT[outcome]] },
      { title: 'WHAT', of: ({ message }) => message, wraps: true }
    ])
    const parts = Object.entries(totals)
      .filter(([, n]) => n > 0)
      .map(([outcome, n]) => `${n} ${outcome}`)
    output.line(`${plural(checks.length, 'check')}: ${parts.join(', ')}.`)
  })
  if (failed.some(({ name }) => name === 'reachable')) return EXIT.unreachable
  return failed.length === 0 ? EXIT.done : EXIT.wrong
}

module.exports = {
  heading: 'Check:',
  commands(define) {
    define('verify [tenants...]', {
      summary: 'check everything that a new machine would restore; writes nothing',
      description:
        'Downloads and checks everything that a new machine would restore of these tenants, or of all, and the older states kept against ' +
        'damage. Claims and writes nothing, so it can run anywhere and at any time.',
      options: [ALL],
      examples: [
        ['verify', 'all tenants in the store'],
        ['verify tenant-42 tenant-43', 'two of them'],
        ['verify --json --quiet > verified.json', 'JSON for a program; the exit code tells whether everything is sound']
      ],
      action: verify
    })
    define('drill [tenants...]', {
      summary: 'restore into a scratch folder and compare; claims nothing',
      description:
        'Restores these tenants, or all, into a scratch folder as a new machine would, reads everything back, and compares it with the ' +
        'store and, where available, with the state of the owner. Claims nothing and leaves nothing behind. It is the proof that a backup works.',
      options: [ALL],
      examples: [
        ['drill', 'all tenants, each night'],
        ['drill tenant-42 --json', 'one of them, with digests and times']
      ],
      action: drill
    })
    define('doctor', {
      summary: 'look for problems of the store and of its use',
      description:
        'Tests the store: rights, public access, clock, consistency of LIST, latency, lifecycle rules ' +
        'that would remove live objects, versions, cost. Writes one scratch object and removes it again; touches no session. ' +
        'With --contract, it also tries each behaviour that this package relies on, with some 3,000 requests and 45 MB each way, in a folder of ' +
        'its own that it removes again. ' +
        'With browser profiles, it also tests their folder: left-over locks, hard links, free space, kind of the disk, signals.',
      options: [
        ['--contract', 'try each behaviour that this package needs of a store'],
        ['--profiles <folder>', 'the folder of browser profiles on this machine (default: .wwebjs_auth here, if it exists)']
      ],
      examples: [
        ['doctor', 'before going to production'],
        ['doctor --contract', 'before using a store that is not in the list of tested ones'],
        ['doctor --profiles /var/lib/app/wwebjs', 'with the folder of browser profiles'],
        ['doctor --json', 'for a program']
      ],
      action: doctor
    })
  }
}
