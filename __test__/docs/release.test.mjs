// The packages that a release publishes are in step, and a clone can be installed before they are published.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../../testkit/base/endings.mjs'
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

/** Fields of who published a package and from where: npm compares `repository` with the proof of the workflow, package by package. */
const ABOUT = ['description', 'keywords', 'license', 'author', 'homepage', 'repository', 'bugs']

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
    for (const field of ABOUT) assert.deepEqual(own[field], main[field], `${platform}: ${field}`)
    assert.ok(existsSync(join(root, 'npm', platform, 'README.md')))
  }
})

/** Everything that `scripts/release.mjs` reads, with one change. */
function releaseOf(t, change = () => {}, { addons = true } = {}) {
  const folder = scratch(t)
  const put = (path, value) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), typeof value === 'string' ? value : JSON.stringify(value))
  }
  const named = (value) => JSON.parse(JSON.stringify(value).replaceAll('OWNER', 'someone'))
  put('scripts/release.mjs', read('scripts/release.mjs'))
  put('CHANGELOG.md', `## [${main.version}]`)
  const packages = { '': named(main) }
  for (const platform of Object.keys(PLATFORMS)) packages[platform] = named(json(`npm/${platform}/package.json`))
  change(packages)
  for (const [platform, own] of Object.entries(packages)) {
    put(join(platform && `npm/${platform}`, 'package.json'), own)
    if (platform && addons) put(`npm/${platform}/${own.main}`, 'addon')
  }
  return (...args) => {
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts/release.mjs'), ...args], { encoding: 'utf8' })
    return { status, stderr, package: (platform) => JSON.parse(readFileSync(join(folder, 'npm', platform, 'package.json'), 'utf8')) }
  }
}

test('a platform package without its addon is not published, and is no fault before the addons are built', (t) => {
  const release = releaseOf(t, undefined, { addons: false })
  assert.match(release().stderr, /^not ready: npm\/linux-x64-gnu lacks its addon baileys-hybrid-auth\.linux-x64-gnu\.node$/m)
  assert.deepEqual([release('--before-build').status, release('--before-build').stderr], [0, ''])
})

test('a release in which a package names another repository, or none, or the placeholder, is not published', (t) => {
  assert.deepEqual(
    [releaseOf(t)()].map(({ status, stderr }) => [status, stderr]),
    [[0, '']]
  )
  const other = releaseOf(t, (packages) => (packages['linux-x64-gnu'].repository.url = 'git+https://github.com/other/fork.git'))()
  assert.equal(other.status, 1)
  assert.match(other.stderr, /^not ready: npm\/linux-x64-gnu has another repository than package\.json/m)
  const none = releaseOf(t, (packages) => delete packages['darwin-x64'].repository)()
  assert.match(none.stderr, /^not ready: npm\/darwin-x64 has another repository/m)
  const placeholder = releaseOf(t, (packages) => (packages[''].author = 'OWNER'))()
  assert.match(placeholder.stderr, /^not ready: package\.json has the placeholder OWNER/m)
})

test('the platform packages take over what the main one says of the repository and its owner', (t) => {
  const release = releaseOf(t, (packages) => {
    delete packages['linux-x64-musl'].repository
    packages['win32-x64-msvc'].author = 'OWNER'
  })
  const { status, stderr, package: own } = release('--fill')
  assert.deepEqual([status, stderr], [0, ''])
  assert.match(own('linux-x64-musl').repository.url, /someone/)
  assert.equal(own('win32-x64-msvc').author, 'someone')
  assert.equal(own('win32-x64-msvc').main, 'baileys-hybrid-auth.win32-x64-msvc.node')
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
