// The documents of `--json` against docs/cli.schema.json.
//
// Invariant: a keyword of the schema that is not checked here is an error, so that nothing in it is decoration.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../testkit/processes/sessions.mjs'

const schema = JSON.parse(readFileSync(join(ROOT, 'docs', 'cli.schema.json'), 'utf8'))

export const documented = Object.keys(schema.$defs)

const typeOf = (value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value)
const isOf = (type, value) => type === typeOf(value) || (type === 'number' && typeOf(value) === 'integer')

/** Keyword -> what is wrong with a value by it, one line each. */
const KEYWORDS = {
  description: () => [],
  type: (types, value, at) => ([types].flat().some((type) => isOf(type, value)) ? [] : [`${at} is ${typeOf(value)}, not ${types}`]),
  const: (wanted, value, at) => (value === wanted ? [] : [`${at} is not ${wanted}`]),
  enum: (wanted, value, at) => (wanted.includes(value) ? [] : [`${at} is ${value}, not one of ${wanted}`]),
  pattern: (pattern, value, at) => (typeof value !== 'string' || new RegExp(pattern).test(value) ? [] : [`${at} is not ${pattern}`]),
  format: (_, value, at) => (typeof value !== 'string' || /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) ? [] : [`${at} is no date`]),
  items: (items, value, at) => (Array.isArray(value) ? value.flatMap((one, i) => faults(items, one, `${at}[${i}]`)) : []),
  properties: (properties, value, at) =>
    Object.keys(value ?? {}).flatMap((name) =>
      Object.hasOwn(properties, name) ? faults(properties[name], value[name], `${at}.${name}`) : []
    ),
  required: (names, value, at) =>
    typeOf(value) === 'object' ? names.filter((name) => !Object.hasOwn(value, name)).map((name) => `${at}.${name} is missing`) : [],
  additionalProperties(rest, value, at, { properties = {} }) {
    if (typeOf(value) !== 'object') return []
    const more = Object.keys(value).filter((name) => !Object.hasOwn(properties, name))
    return rest === false
      ? more.map((name) => `${at}.${name} is not documented`)
      : more.flatMap((name) => faults(rest, value[name], `${at}.${name}`))
  },
  anyOf(choices, value, at) {
    const all = choices.map((choice) => faults(choice, value, at))
    return all.some((one) => one.length === 0) ? [] : all.flat()
  },
  $ref: (name, value, at) => faults(schema.$defs[name.replace('#/$defs/', '')], value, at)
}

function faults(rules, value, at) {
  return Object.entries(rules).flatMap(([keyword, rule]) => {
    if (!Object.hasOwn(KEYWORDS, keyword)) throw new Error(`the keyword ${keyword} is not checked`)
    return KEYWORDS[keyword](rule, value, at, rules)
  })
}

/** Faults of the document that a command printed, one line each. */
export const faultsOf = (command, document) => faults(schema.$defs[command] ?? schema.$defs.failure, document, command)
