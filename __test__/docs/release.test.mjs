// The packages that a release publishes are in step, and a clone can be installed before they are published.

import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { read, root } from './repository.mjs'

const json = (path) => JSON.parse(read(path))
const main = json('package.json')

/** Platform: what npm compares with the machine it installs on. */
const PLATFORMS = {
  'linux-x64-gnu': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  'linux-x64-musl': { os: ['linux'], cpu: ['x64'], libc: ['musl'] },
  'linux-arm64-gnu': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
  'linux-arm64-musl': { os: ['linux'], cpu: ['arm64'], libc: ['musl'] },
  'darwin-x64': { os: ['darwin'], cpu: ['x64'] },
  'darwin-arm64': { os: ['darwin'], cpu: ['arm64'] },
  'win32-x64-msvc': { os: ['win32'], cpu: ['x64'] },
  'win32-arm64-msvc': { os: ['win32'], cpu: ['arm64'] }
}

test('every platform has a package that npm installs there and nowhere else', () => {
  assert.deepEqual(readdirSync(join(root, 'npm')).sort(), Object.keys(PLATFORMS).sort())
  assert.equal(main.napi.targets.length, Object.keys(PLATFORMS).length)
  for (const [platform, { os, cpu, libc }] of Object.entries(PLATFORMS)) {
    const own = json(`npm/${platform}/package.json`)
    assert.deepEqual({ os: own.os, cpu: own.cpu, libc: own.libc }, { os, cpu, libc }, platform)
    assert.equal(own.name, `${main.name}-${platform}`)
    assert.deepEqual(own.files, [`${main.napi.binaryName}.${platform}.node`])
    assert.equal(own.main, own.files[0])
    assert.deepEqual(own.engines, main.engines)
    assert.ok(existsSync(join(root, 'npm', platform, 'README.md')))
  }
})

test('all versions are in step', () => {
  for (const platform of Object.keys(PLATFORMS)) assert.equal(json(`npm/${platform}/package.json`).version, main.version, platform)
  assert.equal(read('Cargo.toml').match(/^version = "(.+)"/m)[1], main.version)
  assert.equal(json('package-lock.json').version, main.version)
  assert.ok(read('Cargo.lock').includes(`name = "${main.name}"\nversion = "${main.version}"`))
  assert.ok(read('binding.js').includes(`expected ${main.version} but got`))
})

test('the platform packages are named at publish time only, or a clone could not be installed before', () => {
  assert.equal(main.optionalDependencies, undefined)
  assert.match(main.scripts.prepublishOnly, /release\.mjs && napi pre-publish/)
})

test('every file that the package promises is there, and nothing of tests or of other machines', () => {
  for (const file of main.files) assert.ok(existsSync(join(root, file)), file)
  assert.deepEqual(
    main.files.filter((file) => /test|demo|bench|\.node$/.test(file)),
    []
  )
})

test('the changelog has a section for what is not released yet', () => {
  assert.match(read('CHANGELOG.md'), /^## \[Unreleased\]$/m)
})
