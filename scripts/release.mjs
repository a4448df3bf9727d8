// The last look before `npm publish`: every addon is there, and all packages are in step.
//
//   node scripts/release.mjs                     says what is not ready
//   node scripts/release.mjs --before-build      the same before there are addons
//   node scripts/release.mjs --fill              gives the platform packages what package.json says of the repository and its owner
//
// Invariant: nothing is published when anything is missing. A platform package without its addon would break every installation
// there; with another repository than the one whose workflow publishes it, npm refuses it after others were published.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'))

/** Fields that are the same in every package. */
const SHARED = ['description', 'keywords', 'license', 'author', 'homepage', 'repository', 'bugs']

const main = read('package.json')
const { version, napi, ...about } = main
const platforms = readdirSync(join(root, 'npm'))
const isBuilt = !process.argv.includes('--before-build')
const isSame = (own, field) => JSON.stringify(own[field]) === JSON.stringify(main[field])

function check() {
  const wrong = []
  if (platforms.length !== napi.targets.length)
    wrong.push(`npm/ has ${platforms.length} platforms, and package.json names ${napi.targets.length}`)
  for (const platform of platforms) {
    const own = read('npm', platform, 'package.json')
    if (own.version !== version) wrong.push(`npm/${platform} has version ${own.version}, not ${version}`)
    if (isBuilt && !existsSync(join(root, 'npm', platform, own.main))) wrong.push(`npm/${platform} lacks its addon ${own.main}`)
    for (const field of SHARED.filter((field) => !isSame(own, field)))
      wrong.push(`npm/${platform} has another ${field} than package.json: run \`node scripts/release.mjs --fill\``)
  }
  if (JSON.stringify(about).includes('OWNER')) wrong.push('package.json has the placeholder OWNER in author, homepage, repository or bugs')
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  if (!changelog.includes(`## [${version}]`)) wrong.push(`CHANGELOG.md has no section for ${version}`)
  return wrong
}

function fill() {
  for (const platform of platforms) {
    const own = read('npm', platform, 'package.json')
    for (const field of SHARED) own[field] = main[field]
    writeFileSync(join(root, 'npm', platform, 'package.json'), `${JSON.stringify(own, null, 2)}\n`)
  }
}

if (process.argv.includes('--fill')) fill()
else {
  const wrong = check()
  for (const what of wrong) console.error(`not ready: ${what}`)
  process.exitCode = wrong.length > 0 ? 1 : 0
}
