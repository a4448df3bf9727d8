// Applications of NestJS for tests: a project with one major version of Nest in it, this package installed beside it as npm
// would, and an application made of the two.
//
// Invariant: what is tested is loaded from the project, so that it finds the Nest that the application has and no other; and
// what a test started is closed when it ends.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from '../../testkit/base/endings.mjs'
import { ROOT } from '../../testkit/processes/sessions.mjs'
import { sized } from './size.mjs'

/** The major versions that are installed for tests, as `nest-common-10` and so on. */
export const ALL_MAJORS = [10, 11, 12]

/** Versions that the same tests run with, one after the other. */
export const MAJORS = sized([12], ALL_MAJORS)

/** Packages of Nest: what npm calls them, and what they are called in this repository. */
const PARTS = { common: 'common', core: 'core', 'platform-express': 'express', terminus: 'terminus' }

const projects = new Map()

const link = (from, to, type = 'junction') => symlinkSync(from, to, type)

/** Copies this package without anything around it. The addon is linked: it is large, and one library is loaded once. */
function installPackage(folder) {
  mkdirSync(folder)
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const name of ['package.json', ...files])
    if (existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  for (const name of readdirSync(ROOT)) if (name.endsWith('.node')) link(join(ROOT, name), join(folder, name), 'file')
}

function createProject(major, without) {
  const folder = mkdtempSync(join(tmpdir(), `hybrid-auth-nest-${major}-`))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '@nestjs'), { recursive: true })
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.') && name !== '@nestjs' && !name.startsWith('nest-') && !without.includes(name))
      link(join(ROOT, 'node_modules', name), join(modules, name))
  }
  for (const [name, alias] of Object.entries(PARTS)) {
    const from = join(ROOT, 'node_modules', `nest-${alias}-${major}`)
    if (existsSync(from) && !without.includes(name)) cpSync(from, join(modules, '@nestjs', name), { recursive: true })
  }
  installPackage(join(modules, 'baileys-hybrid-auth'))
  writeFileSync(join(folder, 'package.json'), '{"name":"application","private":true}')
  return folder
}

/**
 * A project with this major version of Nest, made once for a test file; `without` leaves out parts of Nest, or other packages. `load` requires
 * from it; `packageFolder` is where this package is installed.
 */
export function project(major, { without = [] } = {}) {
  const key = JSON.stringify([major, without])
  if (!projects.has(key)) projects.set(key, createProject(major, without))
  const folder = projects.get(key)
  const load = createRequire(join(folder, 'package.json'))
  return { folder, load, packageFolder: join(folder, 'node_modules', 'baileys-hybrid-auth') }
}

/** Imports of an application, of one major version. */
export function nest(major) {
  const { load, ...rest } = project(major)
  return {
    ...rest,
    load,
    major,
    common: load('@nestjs/common'),
    core: load('@nestjs/core'),
    hybridAuth: load('baileys-hybrid-auth/nestjs')
  }
}

/** A logger for an application that keeps its lines: `{ level, text, context }`. */
export function linesOf() {
  const lines = []
  const say =
    (level) =>
    (text, ...rest) =>
      lines.push({ level, text: String(text), context: rest.at(-1) })
  return {
    lines,
    logger: { log: say('log'), warn: say('warn'), error: say('error'), debug: say('debug'), verbose: say('verbose'), fatal: say('fatal') }
  }
}

/** Lines of this package only, without those that each open has. */
export const own = (lines) =>
  lines.filter(({ context, text }) => context === 'HybridAuth' && !/: session (opening|waiting|opened)/.test(text))

/** Closes an application when the test ends, unless the test did: Nest would run the hooks twice. */
export function closeAtEnd(t, application) {
  const { close } = application
  let closed = null
  application.close = () => (closed ??= close.call(application))
  atEnd(t, () => application.close())
}

/**
 * An application without a web server, of a root module that imports `imports` and provides `providers`. It is closed when
 * the test ends, unless the test closed it.
 */
export async function startApplication(t, { common, core }, { imports = [], providers = [], logger = false } = {}) {
  class ApplicationModule {}
  common.Module({ imports, providers })(ApplicationModule)
  const application = await core.NestFactory.createApplicationContext(ApplicationModule, { logger, abortOnError: false })
  closeAtEnd(t, application)
  return application
}

/** A class with its dependencies injected by `tokens`, as `@Inject(token)` on each parameter does. */
export function injectable({ common }, type, ...tokens) {
  common.Injectable()(type)
  tokens.forEach((token, index) => common.Inject(token)(type, undefined, index))
  return type
}
