// The program of a killable subject: opens an auth state by a factory module and answers the world's commands until the
// channel closes.
//
//   node subject-process.mjs <line> <factory module> <JSON arguments of the factory>      (started by SubjectProcess, over IPC)
//
//   parent to child   { id, command, args }, and { bundles: n, list } in answer to a question
//   child to parent   { id, result, shown } or { id, error }, { intent: names }, and { bundles: n, jids } as a question
//
// Invariant: `intent` leaves this process before the store call it announces, and an answer leaves only after all store calls
// resolved.

import { loadLine, quietLibsignal } from './baileys.mjs'
import { SubjectHost } from './subject.mjs'
import { fromWire, toWire } from './wire.mjs'

quietLibsignal()
const [lineName, factory, argsText] = process.argv.slice(2)
const questions = new Map()
let nextQuestion = 1

const say = (message) => process.send(message)
const describe = (error) => ({ message: error.message, code: error.code, stack: error.stack })

function fetchBundles(jids) {
  const bundles = nextQuestion++
  return new Promise((resolve) => {
    questions.set(bundles, resolve)
    say({ bundles, jids })
  })
}

async function open() {
  const line = await loadLine(lineName)
  const { default: openAuth } = await import(factory)
  const auth = await openAuth(JSON.parse(argsText), line)
  return new SubjectHost({ line, auth, fetchBundles, onIntent: (names) => say({ intent: names }), extra: auth.commands })
}

let queue = open().then(
  (host) => {
    say({ id: 'open', result: null })
    return host
  },
  (error) => {
    say({ id: 'open', error: describe(error) })
    process.exitCode = 1
    process.disconnect()
  }
)

process.on('message', (message) => {
  if (message.bundles) {
    questions.get(message.bundles)(fromWire(message.list))
    questions.delete(message.bundles)
    return
  }
  queue = queue.then(async (host) => {
    try {
      const { result, shown } = await host.run(message.command, fromWire(message.args))
      say({ id: message.id, result: toWire(result ?? null), shown })
    } catch (error) {
      say({ id: message.id, error: describe(error) })
    }
    return host
  })
})
process.on('disconnect', () => process.exit())
