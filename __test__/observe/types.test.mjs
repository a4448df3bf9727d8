// The types take a real pino and a real registry of prom-client, and refuse what is neither.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { chosen } from '../support/size.mjs'

const program = `
import pino from 'pino'
import { register, Registry } from 'prom-client'
import { HybridAuth, type FleetSummary } from ${JSON.stringify(join(ROOT, 'index.js'))}
const fleet = new HybridAuth({ logger: pino() })
const same: Registry = fleet.collectInto(register, { tenantLabel: false })
const text: Promise<string> = fleet.metrics({ tenantLabel: true })
const summary: FleetSummary = fleet.summary()
console.log(same, text, summary.byLife['lease-lost'] + summary.byBackup.never, summary.store === 'ok')
// @ts-expect-error
fleet.collectInto({})
// @ts-expect-error
fleet.metrics({ tenantLabel: 'yes' })
`

const WAYS = [
  ['nodenext', 'nodenext'],
  ['commonjs', 'node10']
]

for (const [module, moduleResolution] of chosen(WAYS, ([module]) => module === 'nodenext')) {
  test(`a strict program with pino and prom-client compiles under ${moduleResolution}`, (t) => {
    const folder = temporaryFolder(t, 'types')
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
    const file = join(folder, 'program.ts')
    writeFileSync(file, program)
    const options = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      module,
      moduleResolution,
      esModuleInterop: true,
      skipLibCheck: true,
      types: ['node']
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: [file] }))
    const { status, stdout } = spawnSync(process.execPath, [join(ROOT, 'node_modules', 'typescript-5', 'bin', 'tsc'), '-p', folder], {
      encoding: 'utf8'
    })
    assert.equal(status, 0, stdout)
  })
}
