'use strict'

// Setting up: keys, the table of a database, and what the configuration comes to.
//
// Invariant: the one secret that is ever printed is a key that was made a moment ago, because that is what was asked for.

const { randomBytes } = require('node:crypto')
const { closeSync, openSync, readFileSync, writeSync } = require('node:fs')
const { join } = require('node:path')
const { Argument } = require('commander')
const { SHELLS, completion } = require('../completion.js')
const { EXIT, UsageError } = require('../exit.js')

/** A new file that only its owner can read. */
function writeSecret(file, text) {
  let opened
  try {
    opened = openSync(file, 'wx', 0o600)
  } catch (error) {
    if (error.code === 'EEXIST') throw new UsageError('the file of --out exists and is not overwritten', 'Name another file.')
    throw new UsageError(`the file of --out cannot be written (${error.code})`, 'Choose a file in an existing folder.')
  }
  try {
    writeSync(opened, text)
  } finally {
    closeSync(opened)
  }
}

const WHERE = [
  'Put it into SESSION_ENCRYPTION_KEY where the service runs (the secrets of your platform), and keep a copy where backups of',
  'passwords are kept: without it, the sessions in the store are unreadable. Never into a repository, an image or a log.'
]

function keygen({ asked, output }) {
  const key = randomBytes(32).toString('hex')
  if (asked.out !== undefined) writeSecret(asked.out, `${key}\n`)
  const document = asked.out === undefined ? { ok: true, key } : { ok: true, file: asked.out }
  output.result(document, () => output.line(asked.out === undefined ? key : `written to ${asked.out}`))
  for (const line of WHERE) output.note(line)
}

/** A value on one line; a list of key ids may be long. */
const shown = (value) => (value === null ? '–' : Array.isArray(value) ? value.join(', ') || '–' : String(value))

const FROM = { option: 'command line', variable: null, default: 'default' }

function config({ output, options }) {
  const { describeConfig } = require('../../index.js')
  const { OBJECTS } = require('../../lib/config/describe.js')
  const { logger, ...given } = options
  const { settings: all, problems, warnings, notes } = describeConfig(given)
  const settings = Object.fromEntries(Object.entries(all).filter(([name]) => !OBJECTS.includes(name)))
  output.result({ ok: problems.length === 0, settings, problems, warnings, notes }, () => {
    const rows = Object.entries(settings).map(([name, setting]) => ({ name, ...setting }))
    output.table(rows, [
      { title: 'SETTING', of: ({ name }) => name },
      {
        title: 'VALUE',
        of: ({ value, problem }) => (problem === undefined ? shown(value) : 'wrong, see below'),
        paint: ({ problem }, { red }) => (problem === undefined ? String : red)
      },
      { title: 'FROM', of: ({ source, from }) => FROM[source] ?? from }
    ])
    for (const problem of problems) output.text(`problem: ${problem}`)
    for (const warning of warnings) output.text(`warning: ${warning}`)
    for (const note of notes) output.text(`note: ${note}`)
  })
  return problems.length === 0 ? EXIT.done : EXIT.usage
}

/** Statements that make the table of a Postgres store: those that the core runs itself where it may. */
function schema({ asked, output }) {
  const { schemaOf } = require('../../lib/config/postgres.js')
  const name = schemaOf({ value: asked.schema, from: '--schema' })
  // The same text as in `src/store/adapters/postgres`, which is not published.
  const sql = readFileSync(join(__dirname, '../schema.sql'), 'utf8').replaceAll('{schema}', `"${name}"`)
  output.result({ ok: true, schema: name, sql }, () => output.line(sql.trimEnd()))
}

function complete({ output }, shell) {
  const { build } = require('../program.js')
  const script = completion(
    build(() => {}),
    shell
  )
  output.result({ ok: true, shell, script }, () => output.line(script.trimEnd()))
}

module.exports = {
  heading: 'Set up:',
  commands(define) {
    define('keygen', {
      summary: 'create an encryption key: 64 hex digits',
      description: 'Creates an encryption key of 32 random bytes and prints it as 64 hex digits on stdout. Instructions are on stderr.',
      options: [['--out <file>', 'write it to this new file, readable only by you, instead of printing it']],
      examples: [
        ['keygen', 'print a key'],
        ['keygen --out session.key', 'keep it in a file, for --key-file']
      ],
      sessions: false,
      action: keygen
    })
    define('config', {
      summary: 'print the effective configuration, the source of each value, and any problems',
      description:
        'Prints the effective configuration, the source of each value, and any problems. Secrets are masked: ' +
        'encryption keys appear as their ids, as in errors. Opens and sends nothing.',
      examples: [
        ['config', 'the result of variables and defaults'],
        ['config --env-file .env --json', 'the same with a file of variables, as JSON']
      ],
      action: config
    })
    define('schema', {
      summary: 'print the SQL that makes the table of a Postgres store',
      description:
        'Prints the statements that make the table of a Postgres store, for your migrations, on stdout. They can be run again at any time. ' +
        'Where the user of the store may create a schema, they need not be run: the first open does it.',
      options: [['--schema <name>', 'the schema of the table (default: baileys_hybrid_auth)']],
      examples: [
        ['schema', 'print them'],
        ['schema --schema whatsapp > 0042_whatsapp_sessions.sql', 'a file for your migrations, with a schema of another name']
      ],
      sessions: false,
      action: schema
    })
    define('completion', {
      summary: 'print a script with which a shell completes commands and options',
      description:
        'Prints a completion script for bash, zsh or fish on stdout, for the installed command and for `npx`. Its first lines say where to put it.',
      arguments: [new Argument('<shell>', 'the shell').choices(SHELLS)],
      examples: [
        ['completion bash', 'print the script; its first line says where to put it'],
        ['completion zsh > completion.zsh', 'write it to a file, for `source` in ~/.zshrc']
      ],
      sessions: false,
      action: complete
    })
  }
}
