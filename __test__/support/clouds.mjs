// Sessions without a disk, for tests: `cloud` gives the options, and the folder that a variable names is that of the machine,
// which is where such a session looks for what another mode left.
//
// Invariant: the variable is as it was when the test ends.

import { atEnd } from '../../testkit/base/endings.mjs'
import { sceneWith } from '../../testkit/stores/scene.mjs'
import { makeBucket } from '../../testkit/stores/index.mjs'

const VARIABLE = 'WHATSAPP_SESSION_PATH'

/** Sets the variable for the time of a test. */
export function lookIn(t, directory) {
  const before = process.env[VARIABLE]
  process.env[VARIABLE] = directory
  atEnd(t, () => {
    if (before === undefined) delete process.env[VARIABLE]
    else process.env[VARIABLE] = before
  })
}

/** A scene over the store of this run, or over `bucket`; `cloud` are the options of a session without a disk on its machine. */
export async function cloudScene(t, { bucket, defaults } = {}) {
  const at = sceneWith(t, bucket ?? (await makeBucket(t)), defaults)
  lookIn(t, at.directory)
  const { directory, ...rest } = at.replicated
  const cloud = { ...rest, mode: 'cloud' }
  return {
    ...at,
    cloud,
    anotherBucket: async () => (await makeBucket(t)).options,
    openCloud: (tenant, options) => at.open(tenant, { ...cloud, ...options })
  }
}
