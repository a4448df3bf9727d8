#!/usr/bin/env node
'use strict'

// The command `baileys-hybrid-auth`.
//
// Invariant: the process ends by itself, with the code that is set here, so that nothing that was printed is cut off; only when
// the user wants an end, what the store still owes an answer is not waited for.

const { run } = require('./program.js')

run(process.argv.slice(2)).then(({ code, leaves }) => {
  process.exitCode = code
  if (leaves) process.stdout.write('', () => process.stderr.write('', () => process.exit()))
})
