// Makes a clean clone ready to run: development packages installed, the Rust core built, both current.
//
//   node scripts/bootstrap.mjs [--build]      --build: build the core even if it is current
//
// Needs nothing but Node itself, says in one sentence what else is missing, and does nothing at all when all is current.
//
// Invariants: what is installed is held against package-lock.json itself, as npm left its record of it, and what is built
// against the hashes of everything that goes into it; a half-finished build replaces nothing, and a process that runs on the
// former addon keeps it.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache')
const stampFile = join(cache, 'addon.json')
const outputs = ['binding.js', 'binding.d.ts']
const isAddon = (name) => /^baileys-hybrid-auth\..+\.node$/.test(name)

/** Something the reader has to do; shown without a stack. */
class Missing extends Error {}

const say = (text) => console.log(`[setup] ${text}`)
const seconds = (since) => `${Math.round((performance.now() - since) / 1000)} s`
/** @type {(version: string, least: number[]) => boolean} */
const atLeast = (version, [major, minor]) => {
  const [a, b] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}

/** Rust is found where rustup puts it, even by a shell that was started before it was installed. */
export const environment = () => {
  const bin = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin')
  const path = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH'
  return { ...process.env, [path]: [process.env[path], bin].filter(Boolean).join(delimiter) }
}

const version = (command) => {
  const { status, stdout } = spawnSync(command, ['--version'], { env: environment(), encoding: 'utf8' })
  return status === 0 ? stdout : null
}

function checkTools() {
  const rust = version('rustc')?.match(/^rustc (\S+)/)?.[1]
  const needed = readFileSync(join(root, 'Cargo.toml'), 'utf8').match(/^rust-version = "(.+)"/m)[1]
  if (rust === undefined || version('cargo') === null) {
    throw new Missing(`Rust is missing: install Rust ${needed} or later from https://rustup.rs and run this again.`)
  }
  if (!atLeast(rust, needed.split('.').map(Number))) {
    throw new Missing(`Rust ${rust} is too old: run \`rustup update stable\` to get ${needed} or later, and run this again.`)
  }
  if (process.platform !== 'win32' && version(process.env.CC || 'cc') === null) {
    const how =
      process.platform === 'darwin' ? 'run `xcode-select --install`' : 'install gcc or clang (Debian: `apt install build-essential`)'
    throw new Missing(`A C compiler is missing: ${how} and run this again.`)
  }
  return rust
}

/**
 * Runs a command silently; what it said is shown only if it fails. `watch` sees each line as it comes.
 * @param {string} command
 * @param {string[]} args
 * @param {string} what
 * @param {{ watch?: (text: string) => void, shell?: boolean }} [how]
 * @returns {Promise<void>}
 */
function quietly(command, args, what, { watch, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: environment(), shell, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text
        watch?.(text)
      })
    }
    child.on('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      reject(new Missing(`${what}: ${command} cannot be started (${error.code}).`))
    )
    child.on('close', (status) => {
      if (status === 0) return resolve()
      console.error(said.trimEnd().split('\n').slice(-60).join('\n'))
      reject(new Missing(`${what} failed; what it said stands above.`))
    })
  })
}

// ------------------------------------------------------------------------------------------------------ installed packages

/** True if npm's own record of what it installed holds everything the lock file asks of this machine. */
function isInstalled() {
  const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages
  let installed
  try {
    installed = read('node_modules/.package-lock.json')
  } catch {
    return false
  }
  const wanted = Object.entries(read('package-lock.json')).filter(
    ([path, { optional, devOptional }]) => path !== '' && !optional && !devOptional
  )
  return wanted.every(
    ([path, { version, integrity }]) =>
      installed[path]?.version === version && installed[path].integrity === integrity && existsSync(join(root, path, 'package.json'))
  )
}

async function install() {
  if (isInstalled()) return
  const started = performance.now()
  say('installing the development packages that package-lock.json names (npm ci) ...')
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']
  const self = process.env.npm_execpath
  const own = self !== undefined && /npm-cli\.c?js$/.test(self)
  await (own
    ? quietly(process.execPath, [self, ...args], 'npm ci')
    : quietly('npm', args, 'npm ci', { shell: process.platform === 'win32' }))
  say(`installed in ${seconds(started)}.`)
}

// ---------------------------------------------------------------------------------------------------------------- the addon

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex')
const hashFile = (path) => (existsSync(path) ? hash(readFileSync(path)) : null)

/** Everything the addon is made of, as one hash. */
function sources(rust) {
  const files = readdirSync(join(root, 'src'), { recursive: true }).map((name) => join('src', String(name)))
  const parts = [...files.filter((name) => statSync(join(root, name)).isFile()), 'Cargo.toml', 'Cargo.lock', 'build.rs']
  const lines = parts.map((name) => `${name.replaceAll('\\', '/')} ${hashFile(join(root, name))}`).sort()
  const { version, napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const cli = JSON.parse(readFileSync(join(root, 'node_modules/@napi-rs/cli/package.json'), 'utf8')).version
  return hash([...lines, JSON.stringify({ version, napi, rust, cli, platform: process.platform, arch: process.arch })].join('\n'))
}

const produced = () => {
  const names = [...outputs, ...readdirSync(root).filter(isAddon).sort()]
  return Object.fromEntries(names.map((name) => [name, hashFile(join(root, name))]))
}

function isBuilt(wanted) {
  try {
    const stamp = JSON.parse(readFileSync(stampFile, 'utf8'))
    return (
      stamp.sources === wanted && JSON.stringify(stamp.produced) === JSON.stringify(produced()) && Object.keys(stamp.produced).some(isAddon)
    )
  } catch {
    return false
  }
}

async function build(force) {
  const rust = checkTools()
  const wanted = sources(rust)
  if (!force && isBuilt(wanted)) return
  const started = performance.now()
  say('building the Rust core (the first build takes a few minutes) ...')
  let crates = 0
  const watch = (text) => {
    crates += text.match(/^\s*Compiling /gm)?.length ?? 0
  }
  const progress = setInterval(
    () => say(`still building, ${crates > 1 ? `${crates} crates and ` : ''}${seconds(started)} so far ...`),
    20_000
  )
  const out = join(cache, 'build')
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const cli = join(root, 'node_modules/@napi-rs/cli/dist/cli.js')
  try {
    const args = ['build', '--platform', '--release', '--output-dir', out, '--js', 'binding.js', '--dts', 'binding.d.ts']
    await quietly(process.execPath, [cli, ...args], 'Building the Rust core', { watch })
  } finally {
    clearInterval(progress)
  }
  // Renamed, not copied over: whoever has the former addon mapped keeps it whole.
  for (const name of readdirSync(out)) renameSync(join(out, name), join(root, name))
  writeFileSync(stampFile, JSON.stringify({ sources: wanted, produced: produced() }))
  say(`built in ${seconds(started)}.`)
}

/** Does `work`, or says what is missing and ends the process. */
async function orMissing(work) {
  try {
    if (!atLeast(process.versions.node, [20, 0])) {
      throw new Missing(`Node ${process.versions.node} is too old: install Node 20 or later and run this again.`)
    }
    await work()
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    console.error(`[setup] ${error.message}`)
    process.exit(1)
  }
}

/** Makes everything ready, or says what is missing and ends the process; without the packages or the addon where these are false. */
export const bootstrap = ({ force = false, packages = true, addon = true } = {}) =>
  orMissing(async () => {
    if (packages) await install()
    if (addon) await build(force)
  })

/** Looks for what Rust alone needs, or says what is missing and ends the process. */
export const needRust = () => orMissing(checkTools)

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  await bootstrap({ force: process.argv.includes('--build') })
