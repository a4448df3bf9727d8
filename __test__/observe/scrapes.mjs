// Scraping this process, and what changed between two scrapes.
//
// Invariant: figures are of the whole process and only grow, so a test looks at what it added and never at a sum.

import { hybrid } from '../../testkit/processes/sessions.mjs'
import { parseText } from './promql.mjs'

export const PREFIX = 'baileys_hybrid_auth_'

const fleet = new hybrid.HybridAuth()

/** The samples of this moment. */
export const scrape = async (options) => parseText(await fleet.metrics(options))

/** A value, by the name without its prefix and labels; undefined where there is none. */
export function valueOf(samples, name, labels = {}) {
  const isMeant = (sample) =>
    sample.name === PREFIX + name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  const found = samples.filter(isMeant)
  if (found.length > 1) throw new Error(`${name} is there ${found.length} times`)
  return found[0]?.value
}

/** By how much each value is higher in `after`: `(name, labels) => difference`. */
export const grown = (before, after) => (name, labels) => valueOf(after, name, labels) - valueOf(before, name, labels)
