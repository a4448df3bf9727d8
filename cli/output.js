'use strict'

// What a command prints: results on stdout, everything else on stderr.
//
// Invariants: whatever is written passes `masked`, so that no secret in use is printed, wherever a text came from; what
// other people named is printed without control characters; a reader that goes away (`| head`) is no failure, and does
// not stop work that is under way; with `--json`, stdout holds one document and nothing else.

const pico = require('picocolors')
const stringWidth = require('string-width')
const { explain } = require('./exit.js')
const { masking } = require('./mask.js')

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** 1234567 -> '1.2 MB'. */
function size(bytes) {
  if (bytes === null || bytes === undefined) return '–'
  let amount = bytes
  let unit = 0
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1000
    unit += 1
  }
  return `${unit === 0 || amount >= 99.5 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[unit]}`
}

/** Units, and from which length on each is used: two of it at least, so that nothing is half of what it says. */
const SPANS = [
  ['d', 86_400_000, 2 * 86_400_000],
  ['h', 3_600_000, 2 * 3_600_000],
  ['min', 60_000, 2 * 60_000],
  ['s', 1000, 1000]
]

/** Milliseconds -> '3 d'. */
function duration(ms) {
  if (ms === null || ms === undefined) return '–'
  const [unit, length] = SPANS.find(([, , from]) => ms >= from) ?? ['ms', 1]
  return `${Math.floor(Math.max(ms, 0) / length)} ${unit}`
}

/** How long ago a moment was; '–' for none. */
const age = (moment, now = Date.now()) => (moment ? duration(Math.max(now - new Date(moment).getTime(), 0)) : '–')

/** 1234567 -> '1,234,567'. */
const count = (number) => (number === null || number === undefined ? '–' : String(number).replace(/\B(?=(\d{3})+$)/g, ','))

const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`

/** Text of others on a terminal: nothing in it moves the cursor, colours or turns the direction of writing. */
const printable = (text) =>
  String(text).replace(/[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

const wantsColor = (stream, allowed) => allowed && !process.env.NO_COLOR && process.env.TERM !== 'dumb' && stream.isTTY === true

/** Writes until the reader goes away, and to nobody afterwards. */
function writer(stream) {
  let isOpen = true
  stream.on('error', (error) => {
    isOpen = false
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') process.exitCode = 1
  })
  return (text) => {
    if (isOpen && text !== '') stream.write(text)
  }
}

const print = { out: writer(process.stdout), err: writer(process.stderr) }

class Output {
  #mask = masking()
  #isJson
  #isQuiet
  #isDebug
  #said = false

  constructor({ json = false, quiet = false, color = true, debug = false } = {}) {
    this.#isJson = json
    this.#isQuiet = quiet
    this.#isDebug = debug
    this.out = pico.createColors(wantsColor(process.stdout, color))
    this.err = pico.createColors(wantsColor(process.stderr, color))
  }

  get isJson() {
    return this.#isJson
  }

  /** Whether a person sees stderr move. */
  get showsProgress() {
    return process.stderr.isTTY === true && !this.#isQuiet && !this.#isJson && process.env.TERM !== 'dumb'
  }

  /** Never prints these texts. */
  hide(secrets) {
    this.#mask.add(secrets)
  }

  printable(text) {
    return printable(text)
  }

  masked(text) {
    return this.#mask.apply(text)
  }

  #write(text) {
    print.out(this.masked(text))
  }

  /** The result: `document` with --json, else what `human` prints. */
  result(document, human) {
    if (!this.#isJson) return human()
    if (this.#said) throw new Error('a second document')
    this.#said = true
    this.#write(`${JSON.stringify(document, null, 2)}\n`)
  }

  /** A line of the result. */
  line(text = '') {
    this.#write(`${text}\n`)
  }

  /** Rows under aligned headings. A column is `{ title, of, right, paint }`; one that is empty in every row is left out. */
  table(rows, columns) {
    const { bold } = this.out
    const filled = columns
      .map((column) => ({ ...column, cells: rows.map((row) => printable(column.of(row) ?? '')) }))
      .filter(({ cells }) => cells.some((cell) => cell !== ''))
    for (const column of filled) column.width = Math.max(...[column.title, ...column.cells].map((cell) => stringWidth(cell)))
    const aligned = (text, { width, right }, isLast) => {
      const blanks = ' '.repeat(width - stringWidth(text))
      return right ? blanks + text : isLast ? text : text + blanks
    }
    const isLast = (i) => i === filled.length - 1
    this.line(filled.map((column, i) => bold(aligned(column.title, column, isLast(i)))).join('  '))
    rows.forEach((row, at) => {
      this.line(filled.map((column, i) => (column.paint?.(row, this.out) ?? String)(aligned(column.cells[at], column, isLast(i)))).join('  '))
    })
  }

  /** Names and values, one a line. */
  pairs(pairs) {
    const shown = pairs.filter(([, value]) => value !== undefined && value !== null)
    const width = Math.max(...shown.map(([name]) => stringWidth(name)))
    for (const [name, value] of shown) this.line(`${this.out.dim(name + ' '.repeat(width - stringWidth(name)))}  ${printable(value)}`)
  }

  /** For the person at the screen; not with --quiet. */
  note(text) {
    if (!this.#isQuiet) print.err(`${this.masked(text)}\n`)
  }

  warn(text) {
    if (!this.#isQuiet) print.err(`${this.err.yellow('warning:')} ${this.masked(printable(text))}\n`)
  }

  /** One line, with the code and what to do. With --json, the document too, unless the result is there already. */
  failure(error) {
    const { code, message, advice } = explain(error)
    const text = /[.!?]$/.test(message) ? message : `${message}.`
    print.err(`${this.masked(`${this.err.red(`error ${code}:`)} ${printable(text)} ${advice}`)}\n`)
    if (this.#isDebug) for (let at = error; at instanceof Error; at = at.cause) print.err(`${this.masked(at.stack ?? at.message)}\n`)
    if (this.#isJson && !this.#said) this.result({ ok: false, error: { code, message, advice }, ...error?.document })
  }
}

module.exports = { Output, print, size, duration, age, count, plural, printable }
