// Code of the application that this package calls: listeners, loggers, callbacks, getters.
//
// Invariants guarded: nothing that it throws, now or later, ends the process, keeps another listener from being told, or comes out of
// this package as anything but a HybridAuthError.

import test from 'node:test'
import assert from 'node:assert/strict'
import { hybrid, rejection, scene, startProcess, told } from '../../testkit/processes/sessions.mjs'

const { HybridAuthError } = hybrid

const HOSTILE = {
  'an Error': () => {
    throw new Error('boom')
  },
  undefined: () => {
    throw undefined
  },
  null: () => {
    throw null
  },
  'an error whose message throws': () => {
    throw {
      get message() {
        throw new Error('in the message')
      }
    }
  },
  'a rejected promise': async () => {
    throw new Error('later')
  },
  'a thenable that throws': () => ({
    then() {
      throw new Error('in then')
    }
  })
}

test('a listener that throws, whatever and whenever, keeps nobody from being told, and ends nothing', async (t) => {
  const at = scene(t)
  const child = startProcess(t, listenAndThrow, { options: at.replicated, hostile: Object.values(HOSTILE).map(String) })
  for (const name of Object.keys(HOSTILE))
    assert.deepEqual(await child.said(), { heard: ['backup', 'error'], rejected: 'INVALID_OPTION' }, name)
  const { code, stderr } = await child.ended
  assert.equal(code, 0, stderr)
  assert.match(stderr, /listener of "backup" threw: boom/, 'with no logger it is a warning of the process')
})

async function listenAndThrow({ hybrid, args, say }) {
  for (const [i, text] of args.hostile.entries()) {
    const hostile = eval(`(${text})`)
    const session = await hybrid.useHybridAuthState(`tenant-${i}`, args.options)
    const heard = new Set()
    for (const event of ['backup', 'error']) {
      session.on(event, hostile)
      session.on(event, () => heard.add(event))
    }
    const come = async (event) => {
      while (!heard.has(event)) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    await session.saveCreds()
    await session.flush()
    await come('backup')
    Object.defineProperty(session.state.creds, 'bad', {
      enumerable: true,
      get() {
        throw null
      }
    })
    const rejected = await session.saveCreds().then(
      () => 'nothing',
      (error) => error?.code
    )
    await come('error')
    await say({ heard: [...heard], rejected })
  }
}

for (const [name, hostile] of Object.entries(HOSTILE)) {
  test(`a logger that throws ${name} keeps listeners from nothing, and ends nothing`, async (t) => {
    const at = scene(t)
    const logger = { debug: hostile, info: hostile, warn: hostile, error: hostile, child: hostile }
    for (const given of [logger, { ...logger, child: () => logger }]) {
      const session = await at.openReplicated('tenant', { logger: given })
      const backup = told(session, 'backup')
      session.state.creds.additionalData = { given: given.child === hostile }
      await session.saveCreds()
      await backup
      await session.close()
    }
  })
}

test('what a value, an id or an option throws while it is read comes out as INVALID_OPTION with its cause', async (t) => {
  const at = scene(t)
  const session = await at.openLocal('tenant')
  const boom = new Error('boom')
  const trap = (name) =>
    Object.defineProperty({}, name, {
      enumerable: true,
      get() {
        throw boom
      }
    })
  const proxy = new Proxy(
    {},
    {
      ownKeys() {
        throw boom
      },
      get() {
        throw boom
      },
      has() {
        throw boom
      },
      getOwnPropertyDescriptor() {
        throw boom
      }
    }
  )
  const { keys } = session.state
  const calls = {
    'a getter in a value': () => keys.set({ session: { a: trap('x') } }),
    'a getter for an id': () => keys.set({ session: trap('x') }),
    'a getter for a type': () => keys.set(trap('session')),
    'a getter for pre-keys': () => keys.set(trap('pre-key')),
    'a proxy': () => keys.set(proxy),
    toJSON: () =>
      keys.set({
        session: {
          a: {
            toJSON() {
              throw boom
            }
          }
        }
      }),
    'an id without a text': () =>
      keys.get('session', [
        {
          toString() {
            throw boom
          }
        }
      ]),
    'a type without a text': () =>
      keys.get(
        {
          toString() {
            throw boom
          }
        },
        ['a']
      ),
    'a getter in the options': () => hybrid.useHybridAuthState('tenant', trap('directory')),
    'options that are a proxy': () => hybrid.useHybridAuthState('tenant', proxy),
    'a getter in the store': () =>
      hybrid.useHybridAuthState('tenant', {
        ...at.replicated,
        store: Object.defineProperty({ kind: 's3', bucket: 'bucket' }, 'region', {
          enumerable: true,
          get() {
            throw boom
          }
        })
      }),
    'a getter in the logger': () => hybrid.useHybridAuthState('tenant', { ...at.local, logger: trap('warn') }),
    initAuthCreds: () =>
      hybrid.useHybridAuthState('new', {
        ...at.local,
        initAuthCreds() {
          throw boom
        }
      }),
    BufferJSON: async () => {
      const other = await at.openLocal('other', {
        BufferJSON: {
          replacer() {
            throw boom
          },
          reviver: (_, value) => value
        }
      })
      await other.state.keys.set({ 'something-new': { a: { date: new Date(0) } } })
      throw new HybridAuthError('INVALID_OPTION', 'no use was made of it', boom)
    },
    'a fleet of a proxy': async () => new hybrid.HybridAuth(proxy).open('tenant')
  }
  for (const [name, call] of Object.entries(calls)) {
    let error
    try {
      error = await rejection(call())
    } catch (thrown) {
      error = thrown
    }
    assert.ok(error instanceof HybridAuthError, `${name}: ${error?.stack}`)
    assert.equal(error.code, 'INVALID_OPTION', `${name}: ${error.message}`)
    assert.equal(error.cause, boom, name)
  }
  await keys.set({ session: { after: { v: 1 } } })
  assert.deepEqual((await keys.get('session', ['after'])).after, { v: 1 })
})

test('a listener that is no function is refused', async (t) => {
  const session = await scene(t).openLocal('tenant')
  for (const listener of [undefined, null, 'x', {}]) {
    for (const call of ['on', 'off']) {
      assert.throws(
        () => session[call]('backup', listener),
        (error) => error instanceof HybridAuthError && error.code === 'INVALID_OPTION'
      )
    }
  }
})
