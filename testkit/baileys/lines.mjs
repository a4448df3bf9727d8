// The Baileys lines that are installed side by side for tests, each as one flat namespace.
//
// A line hides its module system: 6.17 is CommonJS, and its `proto` is missing from the namespace that `import` makes of it.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

const flatten = (namespace) => {
  const inner = namespace.default
  return { ...(typeof inner === 'object' ? inner : {}), ...namespace }
}

/**
 * `load` answers the namespace; `loadGroup` the classes of the Signal group protocol, which a namespace does not export;
 * `senderKeys` says whether a sender-key record is an array of structures ('array') or JSON in bytes ('bytes').
 */
export const lines = [
  {
    name: 'baileys 7.0.0-rc14',
    senderKeys: 'bytes',
    load: async () => flatten(await import('baileys')),
    loadGroup: async () => import('../../node_modules/baileys/lib/Signal/Group/index.js')
  },
  {
    name: '@whiskeysockets/baileys 6.7.24',
    senderKeys: 'bytes',
    load: async () => flatten(await import('@whiskeysockets/baileys')),
    loadGroup: async () => import('../../node_modules/@whiskeysockets/baileys/lib/Signal/Group/index.js')
  },
  {
    name: 'baileys 6.17.16',
    senderKeys: 'array',
    load: async () => flatten(await import('baileys-v6')),
    loadGroup: async () => require('baileys-v6/WASignalGroup')
  }
]
