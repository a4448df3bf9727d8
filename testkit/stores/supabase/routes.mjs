// Routes of requests.
//
// Invariant: the first that fits answers. So a route that a server does not have yet is not missing there: its path is taken for
// that of an object.

import { changeBucket, createBucket, deleteBucket, emptyBucket, getBucket, listBuckets } from './buckets.mjs'
import { downloadSigned, list, listV2, move, removeMany, removeOne, sign, signMany, signUpload, uploadSigned } from './change.mjs'
import { download, info } from './download.mjs'
import { SCHEMAS } from './schema.mjs'
import { copy, upload } from './upload.mjs'

const READ = ['GET', 'HEAD']
const empty = () => ({ status: 200, headers: {}, body: Buffer.alloc(0) })

/** Properties of resumable uploads, among them the limit that counts for all buckets. */
function tusOptions({ settings }) {
  const { fileSizeLimit } = settings.of(null)
  const limit = fileSizeLimit === null ? {} : { 'tus-max-size': String(fileSizeLimit) }
  return { status: 204, headers: { 'tus-resumable': '1.0.0', 'tus-version': '1.0.0', ...limit }, body: Buffer.alloc(0) }
}

/** name, methods, path, handler, and `{ schema, auth }`; `auth` is `required` unless said otherwise. */
const TABLE = [
  ['status', ['GET'], /^\/status$/, empty, { auth: 'none' }],
  ['tus-options', ['OPTIONS'], /^\/upload\/resumable\/?$/, tusOptions, { auth: 'none' }],
  ['bucket-list', ['GET'], /^\/bucket\/?$/, listBuckets],
  ['bucket-create', ['POST'], /^\/bucket\/?$/, createBucket, { schema: SCHEMAS.bucket }],
  ['bucket-empty', ['POST'], /^\/bucket\/([^/]+)\/empty$/, emptyBucket],
  ['bucket-get', ['GET'], /^\/bucket\/([^/]+)$/, getBucket],
  ['bucket-change', ['PUT'], /^\/bucket\/([^/]+)$/, changeBucket, { schema: SCHEMAS.bucketChange }],
  ['bucket-delete', ['DELETE'], /^\/bucket\/([^/]+)$/, deleteBucket],
  ['list', ['POST'], /^\/object\/list\/([^/]+)$/, list, { schema: SCHEMAS.list }],
  ['list-v2', ['POST'], /^\/object\/list-v2\/([^/]+)$/, listV2, { schema: SCHEMAS.listV2 }],
  ['move', ['POST'], /^\/object\/move$/, move, { schema: SCHEMAS.move }],
  ['copy', ['POST'], /^\/object\/copy$/, copy, { schema: SCHEMAS.move }],
  ['sign-many', ['POST'], /^\/object\/sign\/([^/]+)$/, signMany, { schema: SCHEMAS.signMany }],
  ['sign', ['POST'], /^\/object\/sign\/([^/]+)\/(.*)$/, sign, { schema: SCHEMAS.sign }],
  ['download-signed', ['GET'], /^\/object\/sign\/([^/]+)\/(.*)$/, downloadSigned, { auth: 'none' }],
  ['sign-upload', ['POST'], /^\/object\/upload\/sign\/([^/]+)\/(.*)$/, signUpload],
  ['upload-signed', ['PUT'], /^\/object\/upload\/sign\/([^/]+)\/(.*)$/, uploadSigned, { auth: 'none' }],
  ['info', ['GET'], /^\/object\/info\/authenticated\/([^/]+)\/(.*)$/, info],
  ['info-public', ['GET'], /^\/object\/info\/public\/([^/]+)\/(.*)$/, info, { auth: 'none' }],
  ['info', ['GET'], /^\/object\/info\/([^/]+)\/(.*)$/, info, { auth: 'lenient' }],
  ['download', READ, /^\/object\/authenticated\/([^/]+)\/(.*)$/, download],
  ['download-public', READ, /^\/object\/public\/([^/]+)\/(.*)$/, download, { auth: 'none' }],
  ['download-plain', READ, /^\/object\/([^/]+)\/(.*)$/, download, { auth: 'lenient' }],
  ['upload', ['POST', 'PUT'], /^\/object\/([^/]+)\/(.*)$/, upload],
  ['remove-one', ['DELETE'], /^\/object\/([^/]+)\/(.*)$/, removeOne],
  ['remove', ['DELETE'], /^\/object\/([^/]+)$/, removeMany, { schema: SCHEMAS.remove }]
]

const ROUTES = TABLE.map(([name, methods, path, handle, more]) => ({
  name,
  methods,
  path,
  handle,
  schema: null,
  auth: 'required',
  ...more
}))

/**
 * The route of a request and the parts of its path, decoded; `null` where there is none. Throws where a path does not decode.
 * `listV2` answers how a bucket's server has that route.
 */
export function routeOf(method, path, listV2) {
  for (const route of ROUTES) {
    const match = route.methods.includes(method) && path.match(route.path)
    if (!match) continue
    const params = match.slice(1).map(decodeURIComponent)
    const mode = route.name === 'list-v2' ? listV2(params[0]) : 'on'
    if (mode === 'no-route') return null
    if (mode !== 'absent') return { route, params }
  }
  return null
}
