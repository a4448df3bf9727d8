'use strict'

// URLs of database servers, taken apart: credentials, host, port, path and parameters.
//
// Invariants: no refusal repeats a part of a URL, because any of it may be a password that was not encoded. A part is decoded after
// the URL was split, so that an encoded @ or / stays in the password. A parameter that is not known is refused: it may be one that
// somebody relies on.

const { isIP } = require('node:net')
const { decoded, line, quoted, refuse, variable } = require('../checks.js')

/** Names as resolvers take them; underscores are common in networks of containers. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/

/** The host of a server, without brackets and in lower case. */
function hostOf({ value, from }) {
  const host = line({ value, from })
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
  if (/^(\/|%2f|@)/.test(host)) refuse(`${from} is a Unix socket, which is not supported: write the name of a host, such as localhost`)
  if (host.includes(',')) refuse(`${from} has several hosts, which is not supported: write the one name that always leads to the primary`)
  if (isIP(host) === 0 && !HOST_NAME.test(host)) refuse(`${from} must be the name or address of a host`)
  return host
}

/** The port of a server, from a number or, in a variable or URL, digits. */
function portOf({ value, from }) {
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value
  if (!Number.isInteger(port) || port < 1 || port > 65_535) refuse(`${from} must be the number of a port, from 1 to 65535`)
  return port
}

/** Parameters of the query, as far as `rules` know them. */
function parametersOf(query, from, { known, ignored, impossible, secretsBelong, isStore }) {
  const found = new Map()
  for (const [name, value] of new URLSearchParams(query)) {
    if (Object.hasOwn(impossible, name)) refuse(`${from} has the parameter \`${name}\`: ${impossible[name]}`)
    if (!known.includes(name) && !ignored.includes(name)) {
      if (isStore && /key|secret|token|credential|password|user/i.test(name)) refuse(`${from} must not hold credentials: ${secretsBelong}`)
      refuse(`${from} has an unknown parameter, ${quoted(name)}: it takes ${known.join(', ')}`)
    }
    if (found.has(name)) refuse(`${from} has the parameter \`${name}\` twice`)
    found.set(name, value)
  }
  return found
}

/**
 * Parts of the URL of a server; those that it does not have are undefined.
 * @param rules `{ schemes, example, known, ignored, impossible, secretsBelong, isStore }`: the last is true for a URL that must not hold
 *   credentials
 */
function serverUrl(place, rules) {
  const { from } = place
  const text = line(place)
  const { schemes, example, secretsBelong, isStore } = rules
  const [, scheme, authority, path, query = '', fragment] =
    text.match(/^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?$/i) ?? []
  if (scheme === undefined || !schemes.includes(scheme.toLowerCase())) refuse(`${from} must be an address such as ${example}`)
  const at = authority.lastIndexOf('@')
  if (isStore && at >= 0) refuse(`${from} must not hold credentials: ${secretsBelong}`)
  const encode = 'in a user name or password, write / as %2F, ? as %3F, # as %23 and % as %25'
  if (fragment !== undefined) refuse(`${from} must not have a #; ${encode}`)
  const [, user, password] = authority.slice(0, Math.max(at, 0)).match(/^([^:]*)(?::(.*))?$/s)
  if (authority.slice(at + 1).includes(','))
    refuse(`${from} has several hosts, which is not supported: write the one name that always leads to the primary`)
  const [, host, port] =
    authority.slice(at + 1).match(/^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s) ?? refuse(`${from} must be an address such as ${example}; ${encode}`)
  if (host === '') refuse(`${from} contains no host; a Unix socket is not supported: write an address such as ${example}`)
  if (port !== undefined && !/^\d{0,5}$/.test(port))
    refuse(`${from} must be an address such as ${example}, with a number as the port; ${encode}`)
  const part = (text) => (text === undefined || text === '' ? undefined : decoded(text, from))
  return {
    scheme: scheme.toLowerCase(),
    user: part(user),
    password: part(password),
    host: hostOf({ value: decoded(host, from), from: `the host in ${from}` }),
    port: port ? portOf({ value: port, from: `the port in ${from}` }) : undefined,
    folders: path
      .split('/')
      .slice(1)
      .map((name) => decoded(name, from)),
    parameters: parametersOf(query, from, rules)
  }
}

/** The first of these variables that holds a URL of these schemes: DATABASE_URL may as well name another kind of database. */
function urlIn(env, names, { schemes }) {
  const places = names.map((name) => variable(env, name))
  return (
    places.find(({ value }) => value !== undefined && schemes.includes(value.trim().split(':')[0].toLowerCase())) ?? {
      value: undefined,
      from: names[0]
    }
  )
}

/** The password of a server: any text on one line, with its blanks. */
function passwordOf({ value, from }) {
  if (typeof value !== 'string' || value === '') refuse(`${from} must be a non-empty text`)
  if (/\p{Cc}/u.test(value) || !value.isWellFormed()) refuse(`${from} must be one line, without control characters`)
  return value
}

/** Warning of a connection that others can read; `where` is the setting that decides it. */
const readable = (where) =>
  `${where}: the connection is not encrypted, so that the password, object names and sizes travel unencrypted; encrypted contents stay encrypted`

/** Warning of a server whose identity is not checked. */
const unproven = (where, remedy) => `${where}: the connection is encrypted, but the identity of the server is not checked; ${remedy}`

const isSet = ({ value }) => value !== undefined

module.exports = { hostOf, isSet, passwordOf, portOf, readable, serverUrl, unproven, urlIn }
