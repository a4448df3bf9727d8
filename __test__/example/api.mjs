// What the endpoints answer, to whom, and what they never say.

import assert from 'node:assert/strict'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../support/endings.mjs'
import { TOKEN, eventually, machine, pair, whatsappOf } from '../support/example.mjs'
import { KEY, contentsOf } from '../support/sessions.mjs'
import { breakBucket } from '../support/buckets.mjs'
