// The life of one owner, as it noted it down itself: what it opened with, each write with its LSN, what it was told, how it ended.
//
// Invariant: a note counts when its line is whole; the last line of a process that was killed may not be.

import { existsSync, readFileSync } from 'node:fs'

/** Notes with which something is acknowledged: any successor is certain to have it. */
const ACKNOWLEDGES = ['backup', 'flushed', 'recovered']

export class Life {
  #file
  #length = 0

  /** @param {string} name @param {string} [file] of notes, or none: then they are given by `take` */
  constructor(name, file) {
    this.#file = file
    Object.assign(this, { name, openingAt: null, opened: null, sets: [], refusals: [], acknowledged: [], events: [], closed: null })
    /** Writes that were begun, and have no outcome yet. */
    this.attempts = new Map()
    /** True if it was ever stopped, with SIGSTOP, or was as slow as if it had been. */
    this.wasFrozen = false
  }

  get epoch() {
    return this.opened.epoch
  }
  /** The LSN it opened with. */
  get start() {
    return this.opened.lsn
  }
  get openedAt() {
    return this.opened.at
  }
  /** The last write that resolved; `start` if there is none. */
  get end() {
    return this.sets.reduce((last, { lsn }) => Math.max(last, lsn), this.start)
  }
  /** Names that somebody had begun to write, and whose outcome nobody knows: by each attempt of its own. */
  get undecided() {
    return [...this.attempts.values()]
  }
  /** The last LSN that any successor must have. What it opened with is acknowledged: its base is stored, and it was confirmed. */
  get promised() {
    return this.acknowledged.reduce((most, { lsn }) => Math.max(most, lsn), this.start)
  }

  told(event) {
    return this.events.find(({ what }) => what === event) ?? null
  }

  /** Takes what was noted since it was last read. */
  read() {
    if (!existsSync(this.#file)) return this
    const text = readFileSync(this.#file, 'latin1').slice(this.#length)
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    this.#length += whole.length
    for (const line of whole.split('\n')) if (line !== '') this.take(JSON.parse(Buffer.from(line, 'latin1').toString()))
    return this
  }

  take(note) {
    const { what, at, lsn } = note
    if (what === 'opening') this.openingAt = at
    else if (what === 'opened') this.opened = note
    else if (what === 'attempt') this.attempts.set(note.write, note)
    else if (what === 'set') {
      // It was accepted after it was begun, and before it was noted; on a busy machine there may be long between the two.
      const began = this.attempts.get(note.write)?.at ?? at
      this.attempts.delete(note.write)
      this.sets.push({ ...note, began })
    } else if (what === 'refused') {
      this.attempts.delete(note.write)
      this.refusals.push(note)
    } else {
      this.events.push(note)
      if (what === 'closed') this.#close(note)
    }
    if (ACKNOWLEDGES.includes(what)) this.acknowledged.push({ lsn, at, how: what })
    return this
  }

  /** A close that failed nowhere has stored everything; that of a former owner promises nothing, it was told so before. */
  #close({ at, failed }) {
    this.closed = { at, failed }
    const isFormer = this.told('fenced') !== null || this.refusals.some(({ code }) => code === 'FENCED')
    if (failed.length === 0 && !isFormer) this.acknowledged.push({ lsn: this.end, at, how: 'closed' })
  }
}
