// As much of Prometheus as the alert rules need: reading what is scraped, and evaluating an expression over a few scrapes.
//
// Invariant: an expression that is not understood as a whole is an error. A range takes all scrapes, whatever its length: a test
// decides what lies in it by the scrapes that it gives.

import { parser } from '@prometheus-io/lezer-promql'

const key = (labels) => JSON.stringify(Object.entries(labels).sort())

/** `name{labels} value` lines -> `[{ name, labels, value }]`; anything else is an error. */
export function parseText(text) {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, , list = '', value] = line.match(/^([a-z_]+)(\{(.*)\})? (\S+)$/) ?? []
      if (name === undefined || Number.isNaN(Number(value.replace('+Inf', 'Infinity')))) throw new Error(`no line of metrics: ${line}`)
      const labels = Object.fromEntries(
        [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)].map(([, label, text]) => [label, JSON.parse(`"${text}"`)])
      )
      return { name, labels, value: Number(value) }
    })
}

const children = (node) => {
  const all = []
  for (let child = node.firstChild; child !== null; child = child.nextSibling) all.push(child)
  return all
}

/** The tree of an expression; throws where it is not well formed. */
export function parseExpression(text) {
  const tree = parser.parse(text)
  tree.iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`not PromQL at ${node.from}: ${text}`)
    }
  })
  if (tree.topNode.firstChild === null) throw new Error('an empty expression')
  return tree.topNode.firstChild
}

/** `{ name, matchers }` of a selector; a matcher is `{ label, matches }`. */
function selector(node, text) {
  const said = (part) => text.slice(part.from, part.to)
  const matchers = (node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map((matcher) => {
    const [label, operator, value] = children(matcher).map(said)
    const pattern = JSON.parse(value)
    const isRegex = operator.endsWith('~')
    const equal = (text) => (isRegex ? new RegExp(`^(?:${pattern})$`).test(text) : text === pattern)
    return { label, matches: (text) => equal(text) !== operator.startsWith('!') }
  })
  return { name: said(node.getChild('Identifier')), matchers }
}

/** Every selector of an expression. */
export function selectorsIn(text) {
  const found = []
  parseExpression(text)
    .cursor()
    .iterate((node) => {
      if (node.name === 'VectorSelector') found.push(selector(node.node, text))
    })
  return found
}

/** Samples that a selector takes. */
export const select = ({ name, matchers }, samples) =>
  samples.filter((sample) => sample.name === name && matchers.every(({ label, matches }) => matches(sample.labels[label] ?? '')))

function quantile(q, vector) {
  return [...grouped(vector, groupOf).values()].flatMap((buckets) => {
    const sorted = buckets
      .map(({ labels, value }) => ({ le: Number(labels.le.replace('+Inf', 'Infinity')), value }))
      .sort((a, b) => a.le - b.le)
    const all = sorted.at(-1).value
    if (all === 0) return []
    const { le: _, ...labels } = buckets[0].labels
    const at = sorted.findIndex(({ value }) => value >= q * all)
    if (sorted[at].le === Infinity) return [{ labels, value: sorted.at(-2).le }]
    const [lower, below] = at === 0 ? [0, 0] : [sorted[at - 1].le, sorted[at - 1].value]
    return [{ labels, value: lower + ((sorted[at].le - lower) * (q * all - below)) / (sorted[at].value - below) }]
  })
}

const groupOf = ({ labels: { le: _, ...rest } }) => key(rest)

function grouped(list, by) {
  const groups = new Map()
  for (const one of list) groups.set(by(one), [...(groups.get(by(one)) ?? []), one])
  return groups
}

const COMPARE = { '>': (a, b) => a > b, '<': (a, b) => a < b, '>=': (a, b) => a >= b, '<=': (a, b) => a <= b, '==': (a, b) => a === b }

/**
 * Value of an expression over scrapes `[{ at, samples }]`, `at` in seconds and the last one being now: a number, or
 * `[{ labels, value }]`.
 */
export function evaluate(text, scrapes) {
  const said = (node) => text.slice(node.from, node.to)
  const change = (node) => {
    const wanted = selector(node.getChild('VectorSelector'), text)
    const first = new Map(select(wanted, scrapes[0].samples).map(({ labels, value }) => [key(labels), value]))
    return select(wanted, scrapes.at(-1).samples).map(({ labels, value }) => ({ labels, value: value - (first.get(key(labels)) ?? value) }))
  }
  const functions = {
    absent: ([vector]) => (visit(vector).length === 0 ? [{ labels: {}, value: 1 }] : []),
    increase: ([range]) => change(range),
    rate: ([range]) => change(range).map(({ labels, value }) => ({ labels, value: value / (scrapes.at(-1).at - scrapes[0].at) })),
    histogram_quantile: ([q, vector]) => quantile(visit(q), visit(vector))
  }
  const rules = {
    NumberDurationLiteral: (node) => Number(said(node)),
    ParenExpr: (node) => visit(node.firstChild),
    VectorSelector: (node) => select(selector(node, text), scrapes.at(-1).samples).map(({ labels, value }) => ({ labels, value })),
    FunctionCall: (node) => functions[said(node.getChild('FunctionIdentifier'))](children(node.getChild('FunctionCallBody'))),
    AggregateExpr(node) {
      if (said(node.getChild('AggregateOp')) !== 'sum') throw new Error(`only sums are understood: ${text}`)
      const names = (node.getChild('AggregateModifier')?.getChild('GroupingLabels')?.getChildren('LabelName') ?? []).map(said)
      const kept = ({ labels }) => Object.fromEntries(names.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])))
      const groups = grouped(visit(node.getChild('FunctionCallBody').firstChild), (one) => key(kept(one)))
      return [...groups.values()].map((group) => ({ labels: kept(group[0]), value: group.reduce((sum, { value }) => sum + value, 0) }))
    },
    BinaryExpr(node) {
      const [left, operator, right] = children(node)
      if (said(operator) === 'or') {
        const vector = visit(left)
        const there = new Set(vector.map(({ labels }) => key(labels)))
        return [...vector, ...visit(right).filter(({ labels }) => !there.has(key(labels)))]
      }
      const bound = visit(right)
      if (typeof bound !== 'number') throw new Error(`only numbers are compared with: ${text}`)
      return visit(left).filter(({ value }) => COMPARE[said(operator)](value, bound))
    }
  }
  function visit(node) {
    if (rules[node.name] === undefined) throw new Error(`${node.name} is not understood: ${text}`)
    return rules[node.name](node)
  }
  return visit(parseExpression(text))
}
