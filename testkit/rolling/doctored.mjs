// Histories of two owners, made up: sound ones, and one for each way to break the rules.
//
// Invariant: each differs from the sound history in what its case says, and in nothing else.

import { Life } from './life.mjs'

const set = (at, lsn) => ({ what: 'set', at, write: at, lsn, changed: true, shown: {} })
const backup = (at, lsn) => ({ what: 'backup', at, lsn })
const refused = (code) => ({ what: 'refused', at: 15, write: 9, code })
const closed = { what: 'closed', at: 15, failed: [] }

/** It wrote 1 to 3, was told that it is fenced, and handed over. */
const OLDER = [
  { what: 'opening', at: 1 },
  { what: 'opened', at: 10, epoch: 1, lsn: 0, restored: { source: 'fresh', clean: true } },
  set(11, 1),
  set(12, 2),
  set(13, 3),
  backup(14, 2),
  { what: 'fenced', at: 15 }
]

const unaware = { drop: ['fenced'], clean: false }

/** `add`, `drop`: notes of the older one; `clean`, `opened`, `untold`: of the newer one; `found`: what the rules say, or null. */
const CASES = [
  { what: 'nothing', found: null },
  { what: 'a late acknowledgement of an owner that was stopped', stopped: true, drop: ['fenced'], add: [backup(25, 3)], found: null },
  { what: 'late writes of an owner that was stopped', stopped: true, ...unaware, add: [set(25, 4), set(26, 5)], found: null },
  { what: 'a write that died before its note', ...unaware, add: [{ what: 'attempt', at: 14, write: 8 }, set(15, 5)], found: null },
  { what: 'a write after fenced', add: [set(16, 4)], found: /told that it is fenced \(I16\)/ },
  { what: 'a write after a refused one', drop: ['fenced'], add: [refused('CLOSED'), set(16, 4)], found: /after one was refused \(I16\)/ },
  { what: 'a write after the close', drop: ['fenced'], add: [closed, set(16, 4)], found: /after it was closed \(I16\)/ },
  { what: 'a write beside the next owner', ...unaware, add: [set(25, 4)], found: /never stopped \(I3, I8\)/ },
  { what: 'a late write that counts', stopped: true, ...unaware, add: [set(25, 4)], opened: { lsn: 4 }, found: /is in the history \(I8\)/ },
  { what: 'a late write that is acknowledged', stopped: true, ...unaware, add: [set(25, 4), backup(26, 4)], found: /\(backup\) \(I7\)/ },
  { what: 'a lost flush', clean: false, add: [{ what: 'flushed', at: 14, lsn: 3 }], opened: { lsn: 2 }, found: /\(flushed\) \(I7\)/ },
  { what: 'a lost close', ...unaware, add: [closed], opened: { lsn: 2 }, found: /\(closed\) \(I7\)/ },
  { what: 'a loss that is not told', opened: { lsn: 2 }, found: /nothing is missing, and opened at LSN 2 of 3 \(I20\)/ },
  { what: 'more than was written', opened: { lsn: 4 }, found: /wrote only to 3 \(I8\)/ },
  { what: 'one epoch for two', opened: { epoch: 1 }, found: /two owners have epoch 1 \(I2\)/ },
  { what: 'epochs out of order', opened: { at: 9 }, found: /opened before older \(I2\)/ },
  { what: 'an LSN that is left out', ...unaware, add: [set(15, 5)], found: /LSNs 1 to 5 for 4 writes \(I13\)/ },
  { what: 'an LSN that is given twice', drop: ['fenced'], add: [set(15, 3)], found: /to two writes \(I13\)/ },
  {
    what: 'an acknowledgement after fenced',
    add: [backup(16, 3)],
    found: /acknowledged a write after it was told that it is fenced \(I4\)/
  },
  { what: 'acknowledgements out of order', drop: ['fenced'], add: [backup(15, 1)], found: /out of order \(I5\)/ },
  { what: 'an acknowledgement of nothing', drop: ['fenced'], add: [backup(15, 4)], found: /acknowledged LSN 4 and wrote only to 3 \(I4\)/ },
  { what: 'a refusal for another reason', drop: ['fenced'], add: [refused('IO_POISONED')], found: /refused with IO_POISONED/ },
  { what: 'an error event', add: [{ what: 'error', at: 15, code: 'INTERNAL' }], found: /told of an error: INTERNAL/ },
  { what: 'a session from elsewhere', source: 'local', found: /from local, and not from the store/ },
  { what: 'a restore that nobody is told of', untold: true, found: /was not told that it was restored/ }
]

const lifeOf = (name, notes) => notes.reduce((life, note) => life.take(note), new Life(name))

/** `{ what, found, lives }` for each case; the rules must find what they are said to find in `lives`. */
export const doctored = () =>
  CASES.map(({ what, found, stopped = false, drop = [], add = [], clean = true, source = 'remote', opened = {}, untold = false }) => {
    const older = lifeOf('older', [...OLDER.filter((note) => !drop.includes(note.what)), ...add])
    older.wasFrozen = stopped
    const restored = { source, clean }
    const open = { what: 'opened', at: 20, epoch: 2, lsn: 3, restored, ...opened }
    const told = untold ? [] : [{ what: 'restored', at: 21, ...restored }]
    const newer = lifeOf('newer', [{ what: 'opening', at: 12 }, open, ...told, set(22, open.lsn + 1)])
    // Not in the order of their epochs.
    return { what, found, lives: [newer, older] }
  })
