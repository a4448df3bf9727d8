'use strict'

// Asks before something cannot be taken back.
//
// Invariant: where nobody can answer, nothing is done: a script has to say --yes.

const { createInterface } = require('node:readline/promises')
const { Declined, Interrupted, UsageError } = require('./exit.js')

/** Resolves when the user typed `word`. Questions go to stderr: stdout is for results. */
async function confirm(output, question, word, { yes }) {
  if (yes) return
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new UsageError('this needs a confirmation, and there is no terminal', 'Use --yes to continue without one.')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new AbortController()
  terminal.on('SIGINT', () => ended.abort())
  terminal.on('close', () => ended.abort())
  let answer
  try {
    answer = await terminal.question(`${output.masked(question)} `, { signal: ended.signal })
  } catch {
    output.note('')
    throw new Interrupted()
  } finally {
    terminal.close()
  }
  if (answer.trim() !== word) throw new Declined(word)
}

module.exports = { confirm }
