// Packs what a release would publish for this machine, so that an application can install it before there is a release.
//
//   npm run pack                       builds first, then writes two archives into packed/
//   npm install /path/to/packed/*.tgz  in the application
//
// Invariant: the archives are those of a release: the package without compiled code, and the platform package with the addon.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

function npmPack(folder, destination) {
  const options = ['--ignore-scripts', '--no-update-notifier', '--loglevel=error', '--pack-destination', destination]
  const { status, stdout, stderr } = spawnSync('npm', ['pack', ...options], {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32'
  })
  if (status !== 0) throw new Error(`npm pack in ${folder}: ${stdout}${stderr}`)
  return join(destination, stdout.trim().split('\n').at(-1))
}

/** Writes both archives into a folder and answers their paths. */
export function packForThisMachine(destination) {
  const addon = readdirSync(root).find((name) => name.endsWith('.node'))
  if (addon === undefined) throw new Error('the addon is not built: run `npm run build`')
  mkdirSync(destination, { recursive: true })
  const native = mkdtempSync(join(tmpdir(), 'hybrid-auth-pack-'))
  try {
    cpSync(join(root, 'npm', addon.split('.').at(-2)), native, { recursive: true })
    cpSync(join(root, addon), join(native, addon))
    return [npmPack(root, destination), npmPack(native, destination)]
  } finally {
    rmSync(native, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const destination = join(root, 'packed')
  rmSync(destination, { recursive: true, force: true })
  for (const archive of packForThisMachine(destination)) console.log(relative(process.cwd(), archive))
}
