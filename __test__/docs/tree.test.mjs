// Contents of a clone: no traces of the machine it was written on, and no document that points to nowhere.

import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { all, files, read, root } from './repository.mjs'

/** Put together here, so that this file does not hold what it looks for. */
const TRACES = [
  [
    'a home or work directory of some machine',
    new RegExp([...['root/', 'home/[a-z]', 'Users/[A-Za-z]', 'work/'].map((path) => `/${path}`), ['C:', '+Users'].join('\\\\')].join('|'))
  ],
  [
    'the address of a package registry',
    new RegExp(['registry\\.(npmjs|yarnpkg|npmmirror)', 'npm\\.pkg\\.github', 'artifactory', '"resolved": "(?!\\.\\./)'].join('|'))
  ]
]

const text = files().filter(
  (file) => existsSync(join(root, file)) && statSync(join(root, file)).isFile() && !/\.(bin|png|node)$/.test(file)
)

test('no tracked file holds a path of some machine or the address of a registry', () => {
  const self = '__test__/docs/tree.test.mjs'
  const found = []
  for (const file of text.filter((file) => file !== self)) {
    for (const [what, pattern] of TRACES) {
      const hit = read(file).match(pattern)
      if (hit) found.push(`${file}: ${what}: ${hit[0]}`)
    }
  }
  assert.deepEqual(found, [])
  assert.match(`/${'root'}/x`, TRACES[0][1])
  assert.match(`https://registry.${'npmjs'}.org`, TRACES[1][1])
})

const documents = text.filter((file) => file.endsWith('.md') && !file.startsWith('npm/'))
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')

test('every link within the documents leads to a file and a heading that exist', () => {
  const dead = []
  for (const file of documents) {
    for (const link of all(read(file), /\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path, heading] = link.split('#')
      const target = path === '' ? file : normalize(join(dirname(file), path))
      const there = existsSync(join(root, target))
      if (
        !there ||
        (heading &&
          !all(read(target), /^#+ (.+)$/gm)
            .map(anchor)
            .includes(heading))
      )
        dead.push(`${file} -> ${link}`)
    }
  }
  assert.deepEqual(dead, [])
})

test('every file and every command that a document names exists', () => {
  const { scripts } = JSON.parse(read('package.json'))
  const missing = []
  for (const file of documents) {
    for (const path of all(
      read(file),
      /`(?:[^`\n]* )?(?<!--report )((?:src|lib|types|testkit|__test__|docs|demo|scripts|bench|\.ci)\/[\w./-]+)`/g
    )) {
      const places = [path, `${path}.rs`, join(dirname(file), path)]
      if (!places.some((place) => existsSync(join(root, place)))) missing.push(`${file}: ${path}`)
    }
    for (const script of all(read(file), /`npm run (\w+)/g)) if (!(script in scripts)) missing.push(`${file}: npm run ${script}`)
  }
  assert.deepEqual(missing, [])
})
