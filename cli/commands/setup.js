'use strict'

// Setting up: keys, and what the configuration comes to.
//
// Invariant: the one secret that is ever printed is a key that was made a moment ago, because that is what was asked for.

const { randomBytes } = require('node:crypto')
const { closeSync, openSync, writeSync } = require('node:fs')
const { EXIT, UsageError } = require('../exit.js')

/** A new file that only its owner can read. */
function writeSecret(file, text) {
  let opened
  try {
    opened = openSync(file, 'wx', 0o600)
  } catch (error) {
    if (error.code === 'EEXIST') throw new UsageError('the file of --out is there already, and is not overwritten', 'Name another file.')
    throw new UsageError(`the file of --out cannot be written (${error.code})`, 'Name a file in a folder that is there.')
  }
  try {
    writeSync(opened, text)
  } finally {
    closeSync(opened)
  }
}

const WHERE = [
  'Put it into SESSION_ENCRYPTION_KEY where the service runs (the secrets of your platform), and keep a copy where backups of',
  'passwords are kept: without it, nobody can read the sessions in the store. Never into a repository, an image or a log.'
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

/** What only a program can give. */
const OBJECTS = ['initAuthCreds', 'BufferJSON', 'baileys', 'logger']

function config({ output, options }) {
  const { describeConfig } = require('../../index.js')
  const { logger, ...given } = options
  const { settings: all, problems, warnings } = describeConfig(given)
  const settings = Object.fromEntries(Object.entries(all).filter(([name]) => !OBJECTS.includes(name)))
  output.result({ ok: problems.length === 0, settings, problems, warnings }, () => {
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
    for (const problem of problems) output.line(output.printable(`problem: ${problem}`))
    for (const warning of warnings) output.line(output.printable(`warning: ${warning}`))
  })
  return problems.length === 0 ? EXIT.done : EXIT.usage
}

module.exports = {
  heading: 'Set up:',
  commands(define) {
    define('keygen', {
      summary: 'make an encryption key: 64 hex digits',
      description: 'Makes an encryption key of 32 random bytes, and prints it as 64 hex digits on stdout. Where to put it is said on stderr.',
      options: [['--out <file>', 'write it to this new file, which only you can read, and do not print it']],
      examples: [
        ['keygen', 'print a key'],
        ['keygen --out session.key', 'keep it in a file, for --key-file']
      ],
      sessions: false,
      action: keygen
    })
    define('config', {
      summary: 'print what is in effect, where it comes from, and what is wrong with it',
      description:
        'Prints every setting, its value and where it comes from, as an open would take it, and what is wrong. Secrets are masked: ' +
        'encryption keys are shown by their ids, as errors name them. Nothing is opened or sent.',
      examples: [
        ['config', 'what variables and defaults come to'],
        ['config --env-file .env --json', 'the same with a file of variables, for a program']
      ],
      action: config
    })
  }
}
