'use strict'

// Output of a command: results on stdout, everything else on stderr.
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

/**
 * Units, and from which length on each is used: two of it at least, so that nothing is half of what it says.
 * @type {[string, number, number][]}
 */
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

/** Age of a moment; '–' for none. */
const age = (moment, now = Date.now()) => (moment ? duration(Math.max(Number(now) - new Date(moment).getTime(), 0)) : '–')

/** 1234567 -> '1,234,567'. */
const count = (number) => (number === null || number === undefined ? '–' : String(number).replace(/\B(?=(\d{3})+$)/g, ','))

const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`

/** Text of others on a terminal: nothing in it moves the cursor, colours or turns the direction of writing. */
const printable = (text) =>
  String(text).replace(
    /[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  )

const wantsColor = (stream, allowed) => allowed && !process.env.NO_COLOR && process.env.TERM !== 'dumb' && stream.isTTY === true

/** Columns of the reader's screen: those of the terminal, or of COLUMNS where a program reads; Infinity for none. */
function widthOf(stream) {
  if (stream.isTTY === true && stream.columns > 0) return Math.max(stream.columns, 20)
  const said = Number(process.env.COLUMNS)
  return Number.isInteger(said) && said >= 20 ? said : Infinity
}

const parts = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The beginning of a text, or its end, that takes at most `width` columns. */
function cut(text, width, fromEnd = false) {
  const all = Array.from(parts.segment(text), ({ segment }) => segment)
  if (fromEnd) all.reverse()
  const kept = []
  let used = 0
  for (const part of all) {
    used += stringWidth(part)
    if (used > width) break
    kept.push(part)
  }
  return (fromEnd ? kept.reverse() : kept).join('')
}

/** 'tenant-1234567890' -> 'tenan…67890': ids differ at both ends. */
function shortened(text, width) {
  if (stringWidth(text) <= width) return text
  const end = Math.floor((width - 1) / 2)
  return `${cut(text, width - 1 - end)}…${cut(text, end, true)}`
}

/** A text in lines of at most `width` columns, broken between words where it can be. */
function wrapped(text, width) {
  const lines = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (stringWidth(longer) <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    line = word
    while (stringWidth(line) > width) {
      const start = cut(line, width)
      lines.push(start)
      line = line.slice(start.length)
    }
  }
  return [...lines, line]
}

/** Columns are not made narrower than this. */
const LEAST = 8
/** A last column of sentences is wrapped, not shortened, and has so much at least. */
const LEAST_TEXT = 24

/** Takes width from the widest columns until all of them fit. */
function fit(columns, width) {
  const total = () => columns.reduce((sum, column) => sum + column.width, 2 * (columns.length - 1))
  while (total() > width) {
    const least = ({ wraps }) => (wraps ? LEAST_TEXT : LEAST)
    const widest = columns
      .filter((column) => !column.right && column.width > least(column))
      .sort((a, b) => (b.wraps ?? 0) - (a.wraps ?? 0) || b.width - a.width)[0]
    if (widest === undefined) return
    widest.width = widest.wraps ? Math.max(LEAST_TEXT, widest.width - (total() - width)) : widest.width - 1
  }
}

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

  /** True if a person sees stderr move. */
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

  /** A line of text of the result, wrapped at words where the screen is narrower. */
  text(text) {
    const width = widthOf(process.stdout)
    for (const line of width === Infinity ? [text] : wrapped(printable(text), width)) this.line(line)
  }

  /**
   * Rows under aligned headings, as wide as the screen at most. A column is `{ title, of, right, paint, wraps }`; one that is empty in
   * every row is left out. Long cells are shortened in the middle, those of a column of sentences (`wraps`) continue on the next line.
   */
  table(rows, columns) {
    const { bold } = this.out
    const filled = columns
      .map((column) => ({ ...column, cells: rows.map((row) => printable(column.of(row) ?? '')) }))
      .filter(({ cells }) => cells.some((cell) => cell !== ''))
    for (const column of filled) column.width = Math.max(...[column.title, ...column.cells].map((cell) => stringWidth(cell)))
    fit(filled, widthOf(process.stdout))
    const last = filled.length - 1
    const aligned = (text, { width, right }, isLast) => {
      const blanks = ' '.repeat(Math.max(width - stringWidth(text), 0))
      return right ? blanks + text : isLast ? text : text + blanks
    }
    const painted = (cells, paints) =>
      cells
        .map((cell, i) => paints[i](aligned(cell, filled[i], i === last)))
        .join('  ')
        .trimEnd()
    this.line(
      painted(
        filled.map(({ title, width }) => shortened(title, width)),
        filled.map(() => bold)
      )
    )
    rows.forEach((row, at) => {
      const cells = filled.map(({ cells, width, wraps }) => (wraps ? wrapped(cells[at], width) : [shortened(cells[at], width)]))
      const paints = filled.map((column) => column.paint?.(row, this.out) ?? String)
      for (let n = 0; n < Math.max(...cells.map(({ length }) => length)); n++)
        this.line(
          painted(
            cells.map((lines) => lines[n] ?? ''),
            paints
          )
        )
    })
  }

  /** Names and values, one a line; a long value continues under itself. */
  pairs(pairs) {
    const shown = pairs.filter(([, value]) => value !== undefined && value !== null)
    const width = Math.max(...shown.map(([name]) => stringWidth(name)))
    const room = Math.max(widthOf(process.stdout) - width - 2, LEAST_TEXT)
    for (const [name, value] of shown) {
      const [first, ...rest] = wrapped(printable(value), room)
      this.line(`${this.out.dim(name + ' '.repeat(width - stringWidth(name)))}  ${first}`)
      for (const line of rest) this.line(' '.repeat(width + 2) + line)
    }
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

module.exports = { Output, print, shortened, widthOf, size, duration, age, count, plural, printable }
