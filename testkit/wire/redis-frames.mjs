// The protocol of Redis, as far as a proxy must understand it: which bytes are one command, and which are its answer.
//
// Invariants: nothing is changed or reordered. A command has one answer, but for those of subscriptions, which have as many as there are
// channels and news: these are passed on as they are.

const CRLF = '\r\n'
const SUBSCRIBES = /^P?(UN)?SUBSCRIBE$|^S(UN)?SUBSCRIBE$/i
/** Types of values that hold others, and how many for each that they count. */
const HOLDS = { '*': 1, '~': 1, '>': 1, '%': 2, '|': 2 }
const BULK = new Set(['$', '!', '='])

/** End of the value that begins at `from`, or -1 if it has not come whole. */
function endOf(bytes, from) {
  const line = bytes.indexOf(CRLF, from)
  if (line < 0) return -1
  const type = String.fromCharCode(bytes[from])
  const count = Number(bytes.toString('latin1', from + 1, line))
  let at = line + 2
  if (BULK.has(type)) return count < 0 ? at : bytes.length < at + count + 2 ? -1 : at + count + 2
  if (!(type in HOLDS)) return at
  for (let left = count * HOLDS[type]; left > 0; left--) {
    at = endOf(bytes, at)
    if (at < 0) return -1
  }
  // An attribute stands before the value that it is about.
  return type === '|' ? endOf(bytes, at) : at
}

/** Values that arrive in pieces, taken in wholes. */
class Values {
  #bytes = Buffer.alloc(0)

  take(bytes) {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    const whole = []
    let from = 0
    for (
      let end = this.#bytes.length > 0 ? endOf(this.#bytes, 0) : -1;
      end > 0;
      end = end < this.#bytes.length ? endOf(this.#bytes, end) : -1
    ) {
      whole.push(this.#bytes.subarray(from, end))
      from = end
    }
    this.#bytes = this.#bytes.subarray(from)
    return whole
  }
}

/** The words of a command, without those that are long or no text. */
function wordsOf(command) {
  const words = []
  let at = command.indexOf(CRLF) + 2
  while (at < command.length) {
    const end = endOf(command, at)
    const word = command.subarray(command.indexOf(CRLF, at) + 2, end - 2)
    words.push(word.length <= 200 && /^[\x20-\x7e]*$/.test(word.toString('latin1')) ? word.toString('latin1') : `(${word.length} bytes)`)
    at = end
  }
  return words
}

export class RedisFrames {
  #up = new Values()
  #down = new Values()

  up(bytes) {
    return this.#up.take(bytes).map((command) => {
      const words = wordsOf(command)
      return { bytes: command, what: SUBSCRIBES.test(words[0]) ? null : words.join(' ') }
    })
  }

  down(bytes, isAwaited) {
    const found = []
    let answers = 0
    for (const value of this.#down.take(bytes)) {
      const isAnswer = value[0] !== '>'.charCodeAt(0) && isAwaited(answers)
      if (isAnswer) answers += 1
      found.push({ bytes: value, isAnswer })
    }
    return found
  }

  /** The answer of a server that is too busy for a command. */
  refusal() {
    return Buffer.from('-OOM too busy\r\n')
  }
}
