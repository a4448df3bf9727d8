// The example application `examples/nestjs`: installed from the packed package, compiled, started, and driven over HTTP.
//
// The stories are in files of their own and run here, a few at a time since they wait a lot: the application is installed once
// for all of them. Invariant: each story has its own bucket, database and double of WhatsApp, so that none sees another.

import { describe } from 'node:test'
import { before } from '../../testkit/base/missing.mjs'
import { exampleFolder } from '../support/example.mjs'
import * as api from './api.mjs'
import * as deploy from './deploy.mjs'
import * as disconnects from './disconnects.mjs'
import * as diskLost from './disk-lost.mjs'
import * as pageList from './page-list.mjs'
import * as page from './page.mjs'

describe('the example application', { concurrency: 4 }, () => {
  before(() => exampleFolder())
  for (const { stories } of [diskLost, page, pageList, disconnects, deploy, api]) stories()
})
