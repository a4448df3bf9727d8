// Requests that a browser makes by itself, from whatever page: told from those of our own page.
//
// Invariant: `Sec-Fetch-Site` and `Origin` are set by browsers, and no page can change them. A request with neither comes from a
// program, or from a browser that is too old to be given the benefit of the doubt.

import type { IncomingHttpHeaders } from 'node:http'

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : null)

/** `foreign`: another page had it made. `unknown`: no browser says where it comes from. */
export function originOf(headers: IncomingHttpHeaders): 'own' | 'foreign' | 'unknown' {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin' ? 'own' : 'foreign'
  if (headers.origin === undefined) return 'unknown'
  return hostOf(headers.origin) === headers.host ? 'own' : 'foreign'
}

/** True if a `Host` header names this machine. A name that an attacker points to 127.0.0.1 does not. */
export function isLoopbackHost(host: string | undefined): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host ?? '')
}
