// A process with one session of this package, for handovers and crashes: `node instance.mjs`, told by its parent what to do.
//
// Invariant: it uses default settings but for what its parent says.

import { createRequire } from 'node:module'
import { optionsOf } from './ours.mjs'

const { useHybridAuthState } = createRequire(import.meta.url)('../../index.js')
let session
let isOver = false

const commands = {
  async open(store) {
    const began = performance.now()
    session = await useHybridAuthState('handed-over', optionsOf(store))
    return performance.now() - began
  },
  async write() {
    // As in an application that does not stop for a deploy.
    session.on('fenced', () => (isOver = true))
    for (let n = 0; !isOver; n++) {
      await session.state.keys.set({ session: { all: { n } } }).catch(() => (isOver = true))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  },
  close: () => session.close().catch(() => {})
}

process.on('message', async ({ id, command, args }) => {
  if (command === 'write') return void commands.write()
  process.send({ id, answer: await commands[command](...args) })
})
process.on('disconnect', () => process.exit())
