'use strict'

// The end of a command: exit codes, and the words of a failure.
//
// Invariants: the list of exit codes is closed and in docs/cli.md; each error code of the package has one exit code and one
// sentence that says what to do, so that scripts decide by number and people by the line.

const EXIT = Object.freeze({
  done: 0,
  wrong: 1, // something was looked at and found wrong
  usage: 2, // the command line, a variable or a file that they name makes no sense
  unreachable: 3, // the store cannot be reached
  refused: 4, // a key, a right or another owner is in the way
  interrupted: 130 // by a signal, or by an answer that confirms nothing
})

const { wrong, usage, unreachable, refused } = EXIT

/** Error code -> exit code and what to do. */
const CODES = {
  INVALID_OPTION: [usage, 'Correct the option or the variable; `baileys-hybrid-auth config` shows the configuration in effect.'],
  ALREADY_OPEN: [refused, 'A process of this machine has the session open: stop it, or use another --directory.'],
  OWNED_ELSEWHERE: [refused, 'Stop that instance first, or use --takeover to take the session from it.'],
  FENCED: [refused, 'Another instance has taken over the session: decide which one should own it.'],
  LEASE_LOST: [refused, 'Try again when the store is available.'],
  REMOTE_UNAVAILABLE: [unreachable, 'Check address and network, then try again; nothing was changed.'],
  REMOTE_REFUSED: [refused, 'Fix what the message names: key, right, bucket or limit.'],
  REMOTE_CORRUPT: [wrong, 'See "The bucket is lost or damaged" in docs/runbook.md.'],
  LOCAL_CORRUPT: [wrong, 'See "The local log is damaged" in docs/runbook.md.'],
  LOCAL_UNAVAILABLE: [refused, 'Make room on the disk, or set its permissions, then try again.'],
  PROFILE_BUSY: [wrong, 'Try again, or close the browser first; the last generation is kept.'],
  KEY_UNAVAILABLE: [refused, 'Add the key it was stored with to SESSION_ENCRYPTION_KEY or to the --key-file.'],
  NOT_FOUND: [wrong, 'Compare with `baileys-hybrid-auth list`, and the store with `baileys-hybrid-auth config`.'],
  DELETED: [wrong, 'It was logged out: pair the account again.'],
  IO_POISONED: [refused, 'The disk failed in mid-work: check it, then try again.'],
  CLOSED: [wrong, 'Try again.'],
  ABORTED: [wrong, 'Cancelled; nothing was changed.'],
  INTERNAL: [wrong, 'This is a defect of the package: please report it with the output of --debug.']
}

/** A mistake on the command line, said in words of the command line. */
class UsageError extends Error {
  constructor(message, advice = 'See --help.') {
    super(message)
    this.code = 'USAGE'
    this.advice = advice
  }
}

/** The user ended it. `done` says what had been done until then. */
class Interrupted extends Error {
  /** Fields of the document that is printed with --json: {@link tell}'s, as far as they go. */
  document = undefined
  /** True if nothing is waited for any more. */
  leaves = false

  constructor(done = 'Nothing was changed.') {
    super('interrupted')
    this.code = 'INTERRUPTED'
    this.advice = done
  }
}

/** The user was asked, and did not confirm. */
class Declined extends Error {
  constructor(word) {
    super('not confirmed')
    this.code = 'DECLINED'
    this.advice = `Nothing was changed; type ${word} to confirm.`
  }
}

/** Names of options of the package -> the flags that say them to the command that runs. */
let flags = new Map()

/** From now on, messages name these flags instead of the options of the package. */
function speakIn(names) {
  flags = new Map(Object.entries(names))
}

/** A message about options of the package (`tenantId: 'a'`, `tenantId`), in terms of flags. */
const inFlags = (text) =>
  text.replace(/`(\w+)(?:: ('[^'`]*'|\w+))?`/g, (said, name, value) => {
    const flag = flags.get(name)
    if (flag === undefined) return said
    return `\`${flag}${value === undefined || value === 'true' ? '' : ` ${value}`}\``
  })

const oneLine = (text) =>
  String(text)
    .replace(/\s*[\r\n]+\s*/g, ' ')
    .trim()

/** Report of a failure: `{ code, exit, message, advice }`. */
function explain(error) {
  const message = inFlags(oneLine(error?.message ?? error))
  if (error instanceof UsageError) return { code: error.code, exit: usage, message, advice: error.advice }
  if (error instanceof Interrupted || error instanceof Declined)
    return { code: error.code, exit: EXIT.interrupted, message, advice: error.advice }
  const code = Object.hasOwn(CODES, error?.code) ? error.code : 'INTERNAL'
  const [exit, advice] = CODES[code]
  return { code, exit, message, advice: error.advice ?? advice }
}

/** The exit code for what came of several tenants: the one that all failures share, else that something was wrong. */
function exitOfAll(errors) {
  const codes = new Set(errors.map((error) => explain(error).exit))
  if (codes.size === 0) return EXIT.done
  return codes.size === 1 ? [...codes][0] : wrong
}

module.exports = { EXIT, CODES, UsageError, Interrupted, Declined, explain, exitOfAll, inFlags, speakIn }
