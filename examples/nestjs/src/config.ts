// Settings that the service reads from its environment, once, at the start. The variables of the auth state itself (store, keys, folder)
// are read by `baileys-hybrid-auth`; here is only what it cannot know.

import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Variables that say where the copies of sessions go. Without any of them, a directory is the bucket. */
const STORE_VARIABLES = [
  'SESSION_BACKUP_STORE',
  'SESSION_BACKUP_ENABLED',
  'SESSION_STORAGE_TYPE',
  'SUPABASE_URL',
  'R2_ACCOUNT_ID',
  'R2_ENDPOINT'
]
const FOLDER_VARIABLES = ['WHATSAPP_SESSION_PATH', 'SESSION_STORAGE_PATH']

export interface Config {
  port: number
  /** Without a token the service answers this machine only. */
  host: string
  apiToken: string | null
  /** Tells this instance from others that share the table. */
  instance: string
  /** PostgreSQL; without it a small embedded database in `dataFolder`. */
  databaseUrl: string | null
  dataFolder: string
  /** Folder of local logs, where no variable of the auth state names one. */
  sessionFolder?: string
  /** The bucket for trying out, when no variable of the auth state names one. */
  tryOutStore?: string
  /** Time that a change may wait for the store before its session is called overdue. */
  overdueAfterMs: number
  /** For tests and proxies. */
  webSocketUrl?: string
  baileysLogLevel: string
}

function numberOf(name: string, text: string | undefined, standard: number, most: number): number {
  const number = Number(text || standard)
  if (!Number.isInteger(number) || number < 0 || number > most) throw new Error(`${name} must be a whole number from 0 to ${most}`)
  return number
}

export function readConfig(env: NodeJS.ProcessEnv): Config {
  const isSet = (name: string) => (env[name] ?? '') !== ''
  const dataFolder = resolve(env.DATA_DIR || 'data')
  const apiToken = env.API_TOKEN || null
  return {
    port: numberOf('PORT', env.PORT, 3000, 65_535),
    host: env.HOST || (apiToken === null ? '127.0.0.1' : '0.0.0.0'),
    apiToken,
    instance: (env.INSTANCE_NAME || hostname()).slice(0, 100),
    databaseUrl: env.DATABASE_URL || null,
    dataFolder,
    sessionFolder: FOLDER_VARIABLES.some(isSet) ? undefined : join(dataFolder, 'sessions'),
    tryOutStore: STORE_VARIABLES.some(isSet) ? undefined : `${pathToFileURL(join(dataFolder, 'bucket')).href}?create=true`,
    overdueAfterMs: numberOf('BACKUP_OVERDUE_AFTER_MS', env.BACKUP_OVERDUE_AFTER_MS, 600_000, 86_400_000),
    webSocketUrl: env.WA_WEB_SOCKET_URL || undefined,
    baileysLogLevel: env.BAILEYS_LOG_LEVEL || 'silent'
  }
}

export const config = readConfig(process.env)
