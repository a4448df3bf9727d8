// Distributions of times as a small table, for people to read: nothing is decided by it.
//
// Invariant: every number in it is one that was measured (nearest rank); nothing is interpolated.

/** The value at or below which `share` of them lie. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
}

const COLUMNS = [
  ['min', 0],
  ['median', 0.5],
  ['p90', 0.9],
  ['max', 1]
]

/** @param {{ label: string, values: number[][] }[]} rows @param {string[]} headings one for each list of values */
export function tableOf(rows, headings) {
  const width = Math.max(...rows.map(({ label }) => label.length))
  const cells = (values) => COLUMNS.map(([, share]) => quantile(values, share).toFixed(0).padStart(7)).join('')
  const head = ' '.repeat(width + 6) + headings.map((heading) => heading.padStart(7 * COLUMNS.length)).join('   ')
  const names = 'n'.padStart(width + 6) + headings.map(() => COLUMNS.map(([name]) => name.padStart(7)).join('')).join('   ')
  const lines = rows.map(({ label, values }) => label.padEnd(width) + String(values[0].length).padStart(6) + values.map(cells).join('   '))
  return [head, names, ...lines].join('\n')
}
