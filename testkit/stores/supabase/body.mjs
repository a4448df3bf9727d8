// Bodies on their way in: raw, chunked, or as a form.
//
// Invariant: a body that was cut short is not a body.

/** The client left before its body was complete. */
export class CutShort extends Error {}

export function readAll(request) {
  return new Promise((resolve, reject) => {
    if (request.destroyed) return reject(new CutShort())
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('close', () => reject(new CutShort()))
    request.on('error', () => reject(new CutShort()))
  })
}

/** Reads to the end what nobody wants, so that a refusal reaches a client that is still sending. */
export async function drain(request) {
  if (request.readableEnded || request.destroyed) return
  request.resume()
  await new Promise((resolve) => request.once('end', resolve).once('close', resolve).once('error', resolve))
}

const CRLF = '\r\n'

/** The parts of a form: `{ name, isFile, type, bytes }`. */
function partsOf(bytes, boundary) {
  const parts = []
  const mark = Buffer.from(`--${boundary}`)
  for (let at = bytes.indexOf(mark); at >= 0;) {
    const next = bytes.indexOf(mark, at + mark.length)
    if (next < 0) break
    const part = bytes.subarray(at + mark.length + CRLF.length, next - CRLF.length)
    const end = part.indexOf(CRLF + CRLF)
    const head = part.subarray(0, end).toString()
    const disposition = head.match(/^content-disposition:.*$/im)?.[0] ?? ''
    parts.push({
      name: disposition.match(/\bname="([^"]*)"/)?.[1] ?? '',
      isFile: /\bfilename="/.test(disposition),
      type: head.match(/^content-type:\s*(.+)$/im)?.[1].trim() ?? 'application/octet-stream',
      bytes: part.subarray(end + 2 * CRLF.length)
    })
    at = next
  }
  return parts
}

/** The object in an upload: `{ bytes, mimetype, cacheControl, userMetadata }`. */
export function objectIn(bytes, headers) {
  const type = headers['content-type'] ?? 'application/octet-stream'
  const boundary = type.match(/^multipart\/form-data;.*\bboundary="?([^";]+)/i)?.[1]
  if (boundary === undefined) {
    const given = headers['x-metadata']
    const userMetadata = given === undefined ? {} : JSON.parse(Buffer.from(given, 'base64').toString())
    return { bytes, mimetype: type, cacheControl: headers['cache-control'] ?? 'no-cache', userMetadata }
  }
  const parts = partsOf(bytes, boundary)
  const field = (name) => parts.find((part) => !part.isFile && part.name === name)?.bytes.toString()
  const file = parts.find((part) => part.isFile)
  const seconds = field('cacheControl')
  return {
    bytes: Buffer.from(file?.bytes ?? []),
    mimetype: file?.type ?? 'application/octet-stream',
    cacheControl: seconds === undefined ? 'no-cache' : `max-age=${seconds}`,
    userMetadata: JSON.parse(field('metadata') ?? '{}')
  }
}

export const isForm = (headers) => /^multipart\/form-data\b/i.test(headers['content-type'] ?? '')
