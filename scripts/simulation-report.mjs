// Results of many simulated schedules, as a document that anybody can hold against a run of their own.
//
// Invariant: it says nothing that was not counted: how many schedules were played to their end, from which seeds, of which
// sources, what happened in them how often, and which failed.

export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',')

/** Seeds of ranges that follow one another, joined. */
function seeds(ranges) {
  const joined = []
  for (const { first, schedules } of ranges) {
    if (joined.at(-1)?.to === first) joined.at(-1).to += schedules
    else joined.push({ from: first, to: first + schedules })
  }
  return joined.map(({ from, to }) => `${grouped(from)} to ${grouped(to - 1)}`).join(', ') || 'none'
}

/** Sum of what all ranges counted under one name. */
function counts(ranges, name) {
  const sums = {}
  for (const range of ranges) {
    for (const [what, count] of range[name]) sums[what] = (sums[what] ?? 0) + count
  }
  return Object.entries(sums)
}

const table = (head, rows) => [`| times | ${head} |`, '|--:|---|', ...rows.map(([what, count]) => `| ${grouped(count)} | ${what} |`)]

function judgement(failures) {
  if (failures.length === 0) {
    return [
      'Nothing that was acknowledged was lost, in any of them. After each, when the network was good again, no session had two owners,',
      'and a blank machine opened it with every write that had been confirmed as stored, or was told that it had been deleted.'
    ]
  }
  const ranges = failures.map(
    ({ first, last, seed }) => `- ${seed === undefined ? `seeds ${first} to ${last}` : `seed ${seed}: \`SIM_SEED=${seed}\``}`
  )
  return [`${failures.length} ranges failed, and are not counted:`, '', ...ranges]
}

/** The report on the ranges that were played. */
export function report({ sources, commit, asked, ranges, failures, file }) {
  const sum = (name) => ranges.reduce((sum, range) => sum + range[name], 0)
  const [played, seconds] = [sum('schedules'), Math.round(sum('seconds'))]
  const arguments_ = [asked.schedules, asked.first > 0 && `--first ${asked.first}`, file && `--report ${file}`].filter(Boolean)
  const at = commit === undefined ? 'no repository' : `\`${commit.id}\`${commit.isChanged ? ', with changes' : ''}`
  return [
    '# Simulated schedules',
    '',
    'Written by `npm run simulate`, which plays schedules of whole clusters on the real engine; see',
    '[architecture](architecture.md#the-simulation).',
    '',
    `${grouped(played)} schedules were played, of ${grouped(asked.schedules)} asked for. ${failures.length} failed.`,
    '',
    ...judgement(failures),
    '',
    `- Seeds: ${seeds(ranges)}`,
    `- Commit: ${at}; sources of the core \`${sources}\``,
    `- Time: ${grouped(seconds)} seconds, ${(played / Math.max(seconds, 1)).toFixed(0)} schedules per second`,
    `- Opens of the first tenant's session: ${grouped(sum('opens'))}; confirmations that a write is stored: ${grouped(sum('promises'))}; writes without a log that resolved: ${grouped(sum('kept'))}`,
    '',
    'To repeat it, at that commit:',
    '',
    '```sh',
    `npm run simulate -- ${arguments_.join(' ')}`,
    '```',
    '',
    'One of them alone: `SIM_SEED=<seed> cargo test --no-default-features seeded_schedules_of_every_kind -- --nocapture`.',
    '',
    '## Kinds of schedules',
    '',
    ...table('kind', counts(ranges, 'kinds')),
    '',
    '## Events in them',
    '',
    ...table('event', counts(ranges, 'moments')),
    ''
  ].join('\n')
}
