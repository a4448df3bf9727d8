// The rules that the merged history of all owners of a session must obey, whatever was done to their processes.
//
// Invariant: nothing here looks at how long anything took. Times of the shared clock are compared with each other only, to see
// what came after what: a write came after something for certain if it was begun after it. `lives` are sorted by nobody
// beforehand: the epoch says who came later (I2).

const REFUSED = ['FENCED', 'CLOSED']

const plural = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`

/** Errors of one owner, seen for itself. */
function* withinOneLife(life) {
  // A process that died between a write and its note leaves a hole, and the attempt that made it.
  const changed = life.sets.filter((set) => set.changed)
  const lsns = new Set(changed.map(({ lsn }) => lsn))
  const writes = plural(lsns.size, 'write')
  if (lsns.size < changed.length) yield `${life.name} gave an LSN to two writes (I13)`
  const holes = life.end - life.start - lsns.size
  if (holes < 0 || holes > life.undecided.length) yield `${life.name} has LSNs ${life.start + 1} to ${life.end} for ${writes} (I13)`

  const fenced = life.told('fenced')
  const ends = [
    [fenced, 'it was told that it is fenced'],
    [life.refusals[0], 'one was refused'],
    [life.closed, 'it was closed']
  ]
  for (const [end, what] of ends) {
    const late = end ? life.sets.filter(({ began }) => began > end.at) : []
    if (late.length > 0) yield `${life.name} accepted ${plural(late.length, 'write')} after ${what} (I16)`
  }
  for (const { code } of life.refusals) if (!REFUSED.includes(code)) yield `${life.name} was refused with ${code}`

  const backups = life.events.filter(({ what }) => what === 'backup')
  if (fenced !== null && backups.some(({ at }) => at > fenced.at))
    yield `${life.name} acknowledged a write after it was told that it is fenced (I4)`
  if (backups.some(({ lsn }, n) => n > 0 && lsn < backups[n - 1].lsn)) yield `${life.name} acknowledged writes out of order (I5)`
  if (life.promised > life.end + life.undecided.length)
    yield `${life.name} acknowledged LSN ${life.promised} and wrote only to ${life.end} (I4)`
  for (const { what, code } of life.events) if (what === 'error') yield `${life.name} was told of an error: ${code}`
}

/** Errors between an owner and the next. */
function* between(older, newer) {
  const [was, is] = [older.name, newer.name]
  const { source, clean } = newer.opened.restored
  if (newer.openedAt < older.openedAt) yield `${is} has the higher epoch and opened before ${was} (I2)`
  // Whenever it was told, also after the next one opened: then it had been decided before that one's claim, and it counts.
  if (newer.start < older.promised) {
    const [{ how }] = older.acknowledged.filter(({ lsn }) => lsn === older.promised)
    yield `${is} opened at LSN ${newer.start}, and ${was} had acknowledged ${older.promised} (${how}) (I7)`
  }
  if (newer.start > older.end + older.undecided.length)
    yield `${is} opened at LSN ${newer.start}, and ${was} wrote only to ${older.end} (I8)`
  if (clean && newer.start < older.end) yield `${is} says that nothing is missing, and opened at LSN ${newer.start} of ${older.end} (I20)`

  // Only who was stopped meanwhile may not know yet; what it accepts lies beyond what the next one continues.
  const since = older.sets.filter(({ began, changed }) => changed && began > newer.openedAt)
  const writes = plural(since.length, 'write')
  if (since.length > 0 && !older.wasFrozen) yield `${was} accepted ${writes} after ${is} had opened, and was never stopped (I3, I8)`
  const counted = since.filter(({ lsn }) => lsn <= newer.start)
  if (counted.length > 0) yield `${plural(counted.length, 'write')} that ${was} accepted after ${is} had opened is in the history (I8)`

  if (source !== 'remote') yield `${is} has its session from ${source}, and not from the store`
  const told = newer.told('restored')
  if (told === null || told.source !== source || told.clean !== clean) yield `${is} was not told that it was restored, clean: ${clean}`
}

const byEpoch = (lives) => [...lives].sort((a, b) => a.epoch - b.epoch)

/** Everything that is wrong with the history of these lives, one sentence each. */
export function violations(lives) {
  const sorted = byEpoch(lives)
  const found = sorted.flatMap((life) => [...withinOneLife(life)])
  sorted.forEach((newer, n) => {
    if (n > 0)
      found.push(...(sorted[n - 1].epoch === newer.epoch ? [`two owners have epoch ${newer.epoch} (I2)`] : between(sorted[n - 1], newer)))
  })
  return found
}

/** Throws if anything is wrong with the history of these lives. */
export function judge(lives) {
  const found = violations(lives)
  if (found.length > 0) throw new Error(`the history of ${lives.length} owners is broken:\n  ${found.join('\n  ')}`)
}

/** Acknowledgements that their owner was told of only after the next one had opened: it was stopped in between. */
export function lateAcknowledgements(lives) {
  const sorted = byEpoch(lives)
  return sorted.flatMap((life, n) =>
    life.acknowledged.filter(({ at, how }) => how === 'backup' && at > (sorted[n + 1]?.openedAt ?? Infinity))
  )
}

/** Writes that an owner accepted after the next one had opened: none of them is in the history. */
export function lateWrites(lives) {
  const sorted = byEpoch(lives)
  return sorted.flatMap((life, n) => life.sets.filter(({ began, changed }) => changed && began > (sorted[n + 1]?.openedAt ?? Infinity)))
}
