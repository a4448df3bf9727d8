// Settings that the service reads from its environment, once, at the start. Store and keys are read by `baileys-hybrid-auth`.

import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Variables that say where the copies of sessions go. Without any of them, a directory is the bucket. */
const STORE_VARIABLES = ['SESSION_BACKUP_STORE', 'SESSION_BACKUP_ENABLED', 'SUPABASE_URL', 'R2_ACCOUNT_ID', 'R2_ENDPOINT']

function numberOf(name: string, standard: number, least: number, most: number): number {
  const number = Number(process.env[name] || standard)
  if (!Number.isInteger(number) || number < least || number > most)
    throw new Error(`${name} must be a whole number from ${least} to ${most}`)
  return number
}

const dataFolder = resolve(process.env.DATA_DIR || 'data')
const hasStore = STORE_VARIABLES.some((name) => (process.env[name] ?? '') !== '')
const apiToken = process.env.API_TOKEN || null

export const config = {
  port: numberOf('PORT', 3000, 0, 65_535),
  /** Without a token the service answers this machine only. */
  host: apiToken === null ? '127.0.0.1' : process.env.HOST || '0.0.0.0',
  apiToken,
  /** Folder of the profiles. Put it on a volume for starts without a download. */
  dataPath: join(dataFolder, 'wwebjs'),
  /** For trying out, when no variable names a store: a directory as the bucket, unencrypted. */
  tryOut: hasStore ? {} : { store: `${pathToFileURL(join(dataFolder, 'bucket')).href}?create=true`, encryption: 'off' as const },
  /** Clients that start at once: each is a browser. */
  restoreAtOnce: numberOf('RESTORE_AT_ONCE', 3, 1, 100),
  chromiumPath: process.env.CHROMIUM_PATH || '/usr/bin/chromium',
  chromiumArgs: (process.env.CHROMIUM_ARGS ?? '').split(' ').filter((argument) => argument !== '')
}
