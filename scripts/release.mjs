// The last look before `npm publish`: every addon is there, and all versions are in step.
//
// Invariant: nothing is published when anything is missing; a platform package without its addon would break every
// installation there.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'))

const { version, napi, ...about } = read('package.json')
const platforms = readdirSync(join(root, 'npm'))
const wrong = []
if (platforms.length !== napi.targets.length)
  wrong.push(`npm/ has ${platforms.length} platforms, and package.json names ${napi.targets.length}`)
for (const platform of platforms) {
  const own = read('npm', platform, 'package.json')
  if (own.version !== version) wrong.push(`npm/${platform} has version ${own.version}, not ${version}`)
  if (!existsSync(join(root, 'npm', platform, own.main))) wrong.push(`npm/${platform} lacks its addon ${own.main}`)
}
if (JSON.stringify(about).includes('OWNER')) wrong.push('package.json has the placeholder OWNER in author, homepage, repository or bugs')
const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
if (!changelog.includes(`## [${version}]`)) wrong.push(`CHANGELOG.md has no section for ${version}`)

for (const what of wrong) console.error(`not ready: ${what}`)
process.exitCode = wrong.length > 0 ? 1 : 0
