'use strict'

// Errors of an open, in words that say how to fix them: the rule that a certificate breaks, the limit of open files, the reason why a
// directory cannot contain sessions.
//
// Invariants: an error keeps its code, but for a directory that can never contain a file: that is INVALID_OPTION, since no retry helps.
// Nothing but the store's own address is contacted, and nothing takes longer than seconds. Messages name no path.

const { closeSync, openSync } = require('node:fs')
const { connect, isIP } = require('node:net')
const tls = require('node:tls')
const { HybridAuthError, isFailure } = require('../errors.js')
const { REMEDY, whyNoPlace } = require('../folders.js')

const WITHIN_MS = 3000

const day = (text) => new Date(text).toISOString().slice(0, 10)

/** The rule that a certificate breaks, with its remedy; null for one that breaks none which is known here. */
function brokenRule(certificate, host, now = Date.now()) {
  const name = isIP(host) ? `IP:${host}` : `DNS:${host}`
  if (Date.parse(certificate.validTo) < now) return `it expired on ${day(certificate.validTo)}: renew it`
  if (Date.parse(certificate.validFrom) > now)
    return `it is not valid before ${day(certificate.validFrom)}: set the clock of this machine, or create a new certificate`
  if (certificate.subjectAltName === undefined) {
    return `it has no subjectAltName, and the common name does not count: create it again, with \`-addext subjectAltName=${name}\``
  }
  const isFor = isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)
  if (isFor === undefined)
    return `it is for other names than the address of the store: create it again, with \`-addext subjectAltName=${name}\`, or use one of its names`
  if (certificate.ca) {
    return (
      'it is a CA certificate (CA:TRUE), as created by `openssl req -x509`, and cannot be used by a server: create it again, with ' +
      '`-addext basicConstraints=critical,CA:FALSE`, and pass it as `caCertificate`; or use it to sign one for the server'
    )
  }
  return null
}

/** Request of a Postgres client for encryption, before anything else is said. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** The certificate that a server shows, and whether Node trusts it; null where none is to be had. */
function shown({ host, port, isAsked = false, ca }) {
  return new Promise((resolve) => {
    const plain = connect({ host, port })
    let socket = plain
    const end = (answer) => {
      socket.destroy()
      plain.destroy()
      resolve(answer)
    }
    const guard = (stream) => {
      stream.setTimeout(WITHIN_MS, () => end(null))
      stream.on('error', () => end(null))
      return stream
    }
    const encrypt = () => {
      const how = { socket: plain, ...(!isIP(host) && { servername: host }), ...(ca && { ca }), rejectUnauthorized: false }
      const secure = tls.connect(how, () => end({ certificate: secure.getPeerX509Certificate() ?? null, isTrusted: secure.authorized }))
      socket = guard(secure)
    }
    guard(plain).once('connect', () => {
      if (!isAsked) return encrypt()
      plain.write(SSL_REQUEST)
      plain.once('data', (answer) => (answer.toString('latin1') === 'S' ? encrypt() : end(null)))
    })
    plain.once('end', () => end(null))
  })
}

/** Place where a store proves its identity, for `shown`; null for one that need not. */
function doorOf({ kind, host, port, sslmode, tls: isEncrypted, verify, endpoint, url, bucket, virtualHosted }) {
  if (kind === 'postgres') return sslmode === 'verify-full' ? { host, port, isAsked: true } : null
  if (kind === 'redis') return isEncrypted && verify ? { host, port } : null
  const text = String(endpoint ?? url)
  if (!URL.canParse(text) || !text.startsWith('https:')) return null
  const address = new URL(text)
  return { host: (virtualHosted ? `${bucket}.` : '') + address.hostname.replace(/^\[|\]$/g, ''), port: Number(address.port || 443) }
}

/**
 * Reason why the certificate of this store is not trusted, in words; null where that cannot be told.
 * @param {any} store its description for the core
 */
async function whyUntrusted(store) {
  const door = doorOf(store)
  const found = door && (await shown({ ...door, ca: store.ca }))
  if (!found?.certificate) return null
  const { host } = door
  const why = brokenRule(found.certificate, host)
  if (why !== null || found.isTrusted) return why
  return 'it is signed by an unknown authority: pass the certificate of the authority as `caCertificate`'
}

const UNTRUSTED = /the store's certificate is not trusted/

/** True if there is no room for as many files as an open takes. */
function isOutOfFiles() {
  const files = []
  try {
    while (files.length < 8) files.push(openSync(__filename, 'r'))
    return false
  } catch (error) {
    return ['EMFILE', 'ENFILE'].includes(error.code)
  } finally {
    for (const file of files) closeSync(file)
  }
}

/**
 * The answer of an open, with better words for its error where there are some. `native` is the description of the session for the core.
 * @param {import('../../binding.js').Opened | import('../../binding.js').Failure} opened
 * @returns {Promise<import('../../binding.js').Opened | import('../../binding.js').Failure>}
 */
async function explained(opened, { store, directory }) {
  if (!isFailure(opened)) return opened
  const { code, message } = opened
  if (code === 'LOCAL_UNAVAILABLE' && isOutOfFiles()) {
    return {
      ...opened,
      message:
        'too many open files: this process has reached its limit; each session needs two. Raise the limit (`ulimit -n`, LimitNOFILE of systemd, ulimits of Docker)'
    }
  }
  if (code === 'LOCAL_UNAVAILABLE') return { ...opened, .../** @type {any} */ (whyNoPlace(directory, '`directory`', REMEDY)) }
  const why = UNTRUSTED.test(message) ? await whyUntrusted(store ?? {}) : null
  return why === null ? opened : { ...opened, message: `the store's certificate is not trusted: ${why}` }
}

/** An error of reading below `directory`, with better words where there are some. */
function explainedPlace(error, { directory }) {
  const why = error.code === 'LOCAL_UNAVAILABLE' ? whyNoPlace(directory, '`directory`', REMEDY) : null
  return why === null ? error : new HybridAuthError(why.code, why.message)
}

module.exports = { brokenRule, explained, explainedPlace }
