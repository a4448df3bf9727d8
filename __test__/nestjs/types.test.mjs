// The declarations, as the compilers of applications read them, and an application in TypeScript that is compiled and run.
//
// Invariant guarded: what the declarations promise compiles with each version of Nest, in both module systems and with the older
// way to find modules; what is wrong does not; and a class with `emitDecoratorMetadata` is injected by its types alone.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ALL_MAJORS, project } from '../support/nest.mjs'
import { ROOT, temporaryFolder } from '../../testkit/processes/sessions.mjs'
import { chosen, further } from '../support/size.mjs'

const consumer = `
import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common'
import { HealthCheckService, TerminusModule } from '@nestjs/terminus'
import {
  HYBRID_AUTH, HYBRID_AUTH_OPTIONS, HybridAuthError, HybridAuthModule, HybridAuthService, InjectHybridAuth, InjectHybridAuthOptions, nestLogger
} from 'baileys-hybrid-auth/nestjs'
import type { BackupInfo, HybridAuthModuleOptions, HybridAuthOptionsFactory, SessionHealthReport } from 'baileys-hybrid-auth/nestjs'
import { HybridAuthHealthIndicator } from 'baileys-hybrid-auth/nestjs/terminus'
import { HybridAuthError as RootError, type HybridAuth, type HybridAuthState } from 'baileys-hybrid-auth'

@Injectable()
class Settings implements HybridAuthOptionsFactory {
  createHybridAuthOptions(): HybridAuthModuleOptions {
    return { store: 's3://bucket', encryptionKeys: 'hex', shutdownTimeoutMs: 5000, openOnBootstrap: ['a'], logger: nestLogger('Sessions', { debug: true }) }
  }
}

@Injectable()
export class SocketService {
  constructor(
    private readonly auth: HybridAuthService,
    @InjectHybridAuth() private readonly same: HybridAuthService,
    @Inject(HYBRID_AUTH) private readonly again: HybridAuthService,
    @InjectHybridAuthOptions() readonly options: HybridAuthModuleOptions,
    @Inject(HYBRID_AUTH_OPTIONS) readonly optionsAgain: HybridAuthModuleOptions
  ) {}
  async connect(tenantId: string): Promise<boolean> {
    const session: HybridAuthState = await this.auth.initialize(tenantId, { fresh: true })
    const { state, saveCreds } = await this.same.useAuthState(tenantId)
    session.on('fenced', () => {})
    await saveCreds()
    await state.keys.set({ session: {} })
    const report: SessionHealthReport = await this.again.getSessionHealth(tenantId, { overdueAfterMs: 1 })
    const stored: boolean = await this.auth.backupToSupabase(tenantId)
    const found: boolean = await this.auth.restoreFromSupabase(tenantId)
    const { closed }: { closed: number } = await this.auth.shutdown({ timeoutMs: 1 })
    const lag: number | null = report.sessions[0].lagMs
    return stored && found && closed > 0 && lag === null && this.auth.get(tenantId)?.status().life === 'live'
  }
}

@Controller('health')
export class HealthController {
  constructor(private readonly health: HealthCheckService, private readonly sessions: HybridAuthHealthIndicator) {}
  @Get()
  check() {
    return this.health.check([() => this.sessions.isHealthy('sessions', { degradedForMs: 60_000 }), () => this.sessions.isHealthy()])
  }
}

const table = { update: async (id: string, row: { lastBackupAt: Date }): Promise<void> => console.log(id, row) }
@Module({
  imports: [
    TerminusModule,
    HybridAuthModule.forRoot({ isGlobal: true, mode: 'local', logger: console, onFenced: ({ tenantId }) => console.log(tenantId) }),
    HybridAuthModule.forRoot(),
    HybridAuthModule.forRootAsync({
      isGlobal: true,
      imports: [],
      inject: ['TABLE', { token: 'MAYBE', optional: true }],
      useFactory: async (rows: typeof table) => ({ logger: false, onBackup: ({ tenantId, at }: BackupInfo) => rows.update(tenantId, { lastBackupAt: at }) })
    }),
    HybridAuthModule.forRootAsync({ useClass: Settings }),
    HybridAuthModule.forRootAsync({ useExisting: Settings })
  ],
  providers: [SocketService, HybridAuthHealthIndicator],
  controllers: [HealthController]
})
export class AppModule {}

// The methods that the service shares with a fleet promise the same.
export const asFleet = (auth: HybridAuthService): Pick<HybridAuth, keyof HybridAuth & keyof HybridAuthService> => auth
export const codeOf = (error: unknown) => (error instanceof HybridAuthError && error instanceof RootError ? error.code : undefined)
// @ts-expect-error there is no such option
HybridAuthModule.forRoot({ shutdownTimeout: 5 })
// @ts-expect-error the class lacks the method
HybridAuthModule.forRootAsync({ useClass: SocketService })
// @ts-expect-error told too late
HybridAuthModule.forRootAsync({ useFactory: () => ({ isGlobal: true, mode: 'nowhere' }) })
// @ts-expect-error it is no number
export const wrong = (auth: HybridAuthService) => auth.open(7)
`

const DECORATORS = { experimentalDecorators: true, emitDecoratorMetadata: true }
const TYPES = { typeRoots: [join(ROOT, 'node_modules', '@types')], types: ['node'] }

function compile(t, { major, compiler, files, compilerOptions }) {
  const folder = join(project(major).folder, `types-${compiler}-${compilerOptions.module}-${Object.keys(files)[0]}`)
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const options = { strict: true, target: 'es2022', skipLibCheck: true, ...DECORATORS, ...TYPES, ...compilerOptions }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: Object.keys(files) }))
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'node_modules', compiler, 'bin', 'tsc'), '-p', folder], {
    encoding: 'utf8'
  })
  return { folder, status, said: `${stdout}${stderr}` }
}

const NODE_NEXT = { module: 'nodenext', moduleResolution: 'nodenext', noEmit: true }
const WAYS = {
  'an ES module under NodeNext': { file: 'consumer.mts', compiler: 'typescript', compilerOptions: NODE_NEXT },
  'CommonJS under NodeNext': { file: 'consumer.cts', compiler: 'typescript', compilerOptions: NODE_NEXT },
  'a bundler': {
    file: 'consumer.ts',
    compiler: 'typescript',
    compilerOptions: { module: 'esnext', moduleResolution: 'bundler', noEmit: true }
  },
  'CommonJS with TypeScript 5 and the resolution of Node 10': {
    file: 'consumer.ts',
    compiler: 'typescript-5',
    compilerOptions: { module: 'commonjs', moduleResolution: 'node10', noEmit: true }
  }
}

/** The newest Nest that each way of finding modules sees: 12 has doors that only newer ones do. */
const newestOf = ({ compiler }) => (compiler === 'typescript-5' ? 11 : 12)

for (const major of chosen(ALL_MAJORS, (major) => major >= 11)) {
  const seen = Object.entries(WAYS).filter(([, way]) => major <= newestOf(way))
  for (const [name, { file, ...how }] of chosen(seen, ([, way]) => major === newestOf(way))) {
    test(`nest ${major}: the declarations are right for ${name}`, (t) => {
      const { status, said } = compile(t, { major, files: { [file]: consumer }, ...how })
      assert.equal(status, 0, said)
    })
  }

  const hold = major === 12 ? test : further
  hold(`nest ${major}: the declarations themselves hold no mistake`, (t) => {
    const compilerOptions = { ...NODE_NEXT, skipLibCheck: false }
    const { said } = compile(t, { major, compiler: 'typescript', files: { 'declarations.mts': consumer }, compilerOptions })
    const own = said.split('\n').filter((line) => /baileys-hybrid-auth[/\\](nestjs|index|types)|declarations\.mts/.test(line))
    assert.deepEqual(own, [])
  })
}

const program = `
import { Injectable, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { HybridAuthModule, HybridAuthService } from 'baileys-hybrid-auth/nestjs'

@Injectable()
class SocketService {
  constructor(private readonly auth: HybridAuthService) {}
  async run(): Promise<string> {
    const { state, saveCreds } = await this.auth.initialize('tenant')
    await saveCreds()
    await state.keys.set({ session: { a: { v: Buffer.from('stored') } } })
    await this.auth.backup('tenant')
    const { a } = await state.keys.get('session', ['a'])
    const { backed_up: backedUp } = await this.auth.getSessionHealth()
    return [a.v.toString(), state.creds.name, backedUp].join(' ')
  }
}

@Module({
  imports: [HybridAuthModule.forRoot({
    directory: process.argv[2] + '/sessions', store: { kind: 'directory', path: process.argv[2] + '/bucket', create: true }, encryptionKeys: '7f'.repeat(32),
    initAuthCreds: () => ({ name: 'new' })
  })],
  providers: [SocketService]
})
class AppModule {}

async function main(): Promise<void> {
  const application = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] })
  console.log(await application.get(SocketService).run())
  await application.close()
}
void main()
`

const NODE_10 = { module: 'commonjs', moduleResolution: 'node10' }
const BOTH_NEXT = { module: 'nodenext', moduleResolution: 'nodenext' }
const BUILDS = {
  'CommonJS, with TypeScript 5': { file: 'main.ts', compiler: 'typescript-5', compilerOptions: NODE_10, majors: [10, 11] },
  'ES modules, with TypeScript 5': { file: 'main.mts', compiler: 'typescript-5', compilerOptions: BOTH_NEXT, majors: ALL_MAJORS },
  'ES modules, with TypeScript 7': { file: 'main.mts', compiler: 'typescript', compilerOptions: BOTH_NEXT, majors: ALL_MAJORS }
}

for (const [name, { file, majors, ...how }] of chosen(Object.entries(BUILDS), ([name]) => name === 'ES modules, with TypeScript 7')) {
  for (const major of chosen(majors, (major) => major === 12)) {
    test(`nest ${major}: an application in TypeScript is compiled and runs: ${name}`, (t) => {
      const { folder, status, said } = compile(t, { major, files: { [file]: program }, ...how })
      assert.equal(status, 0, said)
      const built = join(folder, file.replace('ts', 'js'))
      const run = spawnSync(process.execPath, [built, temporaryFolder(t)], { encoding: 'utf8' })
      assert.deepEqual([run.status, run.stdout.trim(), run.stderr], [0, 'stored new 1', ''])
    })
  }
}
