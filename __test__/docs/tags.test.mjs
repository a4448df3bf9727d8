// The tags of the tests, and the option that leaves them out.
//
// Invariant guarded: a file has the tags of all that it leads to, and what is left out of a run is named and counted.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/bootstrap.mjs'
import { TAGS, tagsOf } from '../../scripts/test-files.mjs'
import { firstColumn, read } from './repository.mjs'

const of = (name) => tagsOf(join(root, '__test__', `${name}.test.mjs`))

test('a_file_has_the_tags_of_all_that_it_leads_to', () => {
  assert.deepEqual(of('values/batch'), [])
  assert.deepEqual(of('values/real-values'), ['addon'])
  assert.deepEqual(of('stores/gcs-double'), ['slow'], 'a double is no program to install')
  assert.deepEqual(of('cli/completion'), ['addon', 'server', 'slow'], 'a shell, by way of a helper')
  assert.deepEqual(of('stores/contract'), ['addon', 'server', 'slow'], 'a store that is only known when it runs')
  assert.deepEqual(of('nestjs/module'), ['addon', 'slow'], 'versions of Nest, by way of a helper')
})

test('what_is_left_out_of_a_run_by_its_tag_is_named_and_counted', () => {
  const run = (...args) => spawnSync(process.execPath, [join(root, 'scripts/test.mjs'), ...args], { encoding: 'utf8' })
  const { stdout } = run('stores/contract', '--without', 'server,slow')
  assert.match(stdout, /^1 left out by --without server, slow: __test__.stores.contract\.test\.mjs$/m)
  assert.match(stdout, /^0 passed, 0 failed$/m)
  const { status, stderr } = run('--without', 'network')
  assert.equal(status, 1)
  assert.match(stderr, /There is no tag "network": use addon, server, slow\./)
})

test('the_document_names_every_tag', () => {
  const [, table] = read('CONTRIBUTING.md').match(/(\| tag \|[^]*?)\n\n/)
  assert.deepEqual(firstColumn(table), Object.keys(TAGS).sort())
})
