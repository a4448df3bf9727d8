'use strict'

// The tree of commands: parsing, dispatch, and the handling of failures.
//
// Invariants: every command takes the same options for output, and those that look at sessions the same options for the store;
// whatever fails ends as one line and an exit code of the closed list, never as a stack. The package itself loads nothing of
// this folder.

const { Command, CommanderError, Option } = require('commander')
const { EXIT, UsageError, explain, speakIn } = require('./exit.js')
const { Output, print } = require('./output.js')
const { SESSION_OPTIONS, settingsOf } = require('./settings.js')
const { Interrupts } = require('./work.js')
const { name: NAME, version } = require('../package.json')

const FAMILIES = ['look.js', 'check.js', 'move.js', 'change.js', 'setup.js']

const OUTPUT_OPTIONS = [
  ['--json', 'print one JSON document on stdout'],
  ['-q, --quiet', 'no progress, notes or warnings'],
  ['--no-color', 'no colours; NO_COLOR does the same'],
  ['--debug', 'show where an error came from']
]

const GENERAL = `
Store, directory and keys come from the same variables as for the package: see
docs/configuration.md, and \`${NAME} config\`. No option takes a
secret: use variables, --env-file or --key-file.

Exit codes: 0 done, 1 a problem was found, 2 usage, 3 store unreachable,
4 rejected (key, right, another owner), 130 interrupted or not confirmed.
`

const addOptions = (command, heading, options) => {
  for (const [flags, description] of options) {
    const option = new Option(flags, description)
    if (flags.includes('<on|off>')) option.choices(['on', 'off'])
    command.addOption(option.helpGroup(heading))
  }
}

const examplesText = (examples) => `\nExamples:\n${examples.map(([line, what]) => `  # ${what}\n  $ npx ${NAME} ${line}`).join('\n')}\n`

/** Name of a mistake on the command line: without values, since what stands there by mistake may be a secret. */
function mistake(error, command) {
  const text = error.message
    .replace(/^error: /, '')
    .replace(/(--?[\w-]+)=[^']*/g, '$1')
    .replace(/[\w+/=-]{32,}/g, '***')
    .replace(/\n\((Did you mean [^)]*)\)/, '. $1')
  return new UsageError(text, `See \`${command} --help\`.`)
}

/** Option of the package -> what says it here. */
const flagsOf = (command) => ({
  ...Object.fromEntries(command.options.map((option) => [option.attributeName(), option.long])),
  encryptionKeys: '--key-file',
  sourceKey: '--source-key-file',
  closedSessionsOlderThanDays: '--closed-older-than',
  closedSessionsKept: '--closed-kept',
  from: command.name() === 'import' ? '<folder>' : '<from>'
})

/** The program; `act(action, command, args)` is called for the command that was given. */
function build(act) {
  const program = new Command(NAME)
  // A fault is told once, and in one form: by `run`.
  const silent = { writeOut: print.out, writeErr: print.err, outputError: () => {} }
  program
    .description('Maintains the WhatsApp sessions of baileys-hybrid-auth, in their store and on this machine.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help; every command has examples in its own')
    .usage('<command> [options]')
    .configureHelp({ showGlobalOptions: false })
    .exitOverride()
    .configureOutput(silent)
    .addHelpText('after', GENERAL)
  addOptions(program, 'Options:', OUTPUT_OPTIONS)

  const define =
    (family) =>
    (usage, { summary, description, arguments: taken = [], options = [], examples, sessions = true, action }) => {
      const command = program
        .command(usage)
        .summary(summary)
        .description(description ?? `${summary[0].toUpperCase()}${summary.slice(1)}.`)
      // Commander passes these on to commands only when they are made in one step.
      command.exitOverride().configureOutput(silent).helpGroup(family)
      for (const argument of taken) command.addArgument(argument)
      for (const option of options)
        command.addOption(
          (option instanceof Option ? option : new Option(.../** @type {[string, string]} */ (option))).helpGroup('Options:')
        )
      if (sessions) addOptions(command, 'Which sessions:', SESSION_OPTIONS)
      addOptions(command, 'Output:', OUTPUT_OPTIONS)
      command.addHelpOption(new Option('-h, --help', 'print this help').helpGroup('Output:'))
      command.addHelpText('after', examplesText(examples))
      command.action((...args) => act(action, command, args.slice(0, -2)))
    }
  for (const file of FAMILIES) {
    const { heading, commands } = require(`./commands/${file}`)
    commands(define(heading))
  }
  return program
}

/** Context of a command. */
class Context {
  #settings = null

  constructor(asked, output) {
    this.asked = asked
    this.output = output
    this.interrupts = new Interrupts(output)
  }

  /** Options of the package; they are resolved once, and checked by the package when it is asked for something. */
  get options() {
    this.#settings ??= settingsOf(this.asked, this.output)
    return this.#settings
  }

  /** Settings that an open with these options would use. */
  get resolved() {
    return require('../lib/config/options.js').resolveOptions('any', this.#given)
  }

  get #given() {
    return { ...this.options, onMissing: 'error', ...(this.asked.local && { mode: 'local' }) }
  }

  /**
   * The fleet of these options. Nothing of it makes a session where there is none. It must have a store, unless the command
   * can do without and was told to.
   */
  get fleet() {
    const { HybridAuth } = require('../index.js')
    if (this.resolved.native.store === null && !this.asked.local) {
      const reason = require('../lib/config/services.js').reasonForNoStore(this.#given)
      if (reason !== null)
        throw new UsageError(
          `${reason}, and this command needs a store`,
          'Remove that setting; `config` shows the configuration in effect.'
        )
      throw new UsageError(
        'no store is configured',
        'Use --store <url>, or set SESSION_BACKUP_STORE; `config` shows the configuration in effect.'
      )
    }
    return new HybridAuth(this.#given)
  }

  /** True if another process of this machine has the session open, as the log in the directory tells. */
  async isOpenHere(tenantId) {
    const { HybridAuth } = require('../index.js')
    const { local } = await new HybridAuth({ ...this.#given, mode: 'local' }).inspect(tenantId)
    return local?.open === 'elsewhere'
  }
}

/** Runs a command line. Resolves to the exit code, and whether nothing is to be waited for any more. */
async function run(argv) {
  const plainOutput = () =>
    new Output({ json: argv.includes('--json'), color: !argv.includes('--no-color'), debug: argv.includes('--debug') })
  let output = null
  let code = EXIT.done
  const program = build(async (action, command, args) => {
    const general = program.opts()
    const own = command.opts()
    const asked = { ...general, ...own, color: general.color && own.color }
    for (const flag of ['json', 'quiet', 'debug']) asked[flag] = Boolean(general[flag] || own[flag])
    output = new Output(asked)
    speakIn(flagsOf(command))
    const context = new Context(asked, output)
    code = (await context.interrupts.during(() => action(context, ...args))) ?? EXIT.done
  })
  try {
    if (argv.length === 0) {
      program.outputHelp({ error: true })
      return { code: EXIT.usage, leaves: false }
    }
    // Commander knows one short name of an option.
    await program.parseAsync(argv[0] === '-v' ? ['-V'] : argv, { from: 'user' })
    return { code, leaves: false }
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return { code: EXIT.done, leaves: false }
    const known = argv.find((word) => program.commands.some((command) => command.name() === word))
    const failure = error instanceof CommanderError ? mistake(error, known === undefined ? NAME : `${NAME} ${known}`) : error
    output ??= plainOutput()
    output.failure(failure)
    return { code: explain(failure).exit, leaves: failure.leaves === true }
  }
}

module.exports = { NAME, build, run }
