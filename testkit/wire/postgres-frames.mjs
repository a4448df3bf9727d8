// The wire protocol of PostgreSQL, as far as a proxy must understand it: which bytes are one request, and which are its answer.
//
// Invariants: nothing is changed or reordered. A request ends with Sync or is a simple query, and its answer ends with ReadyForQuery;
// all before the first ReadyForQuery, and all that comes unasked, is passed on as it is.

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const SYNC = 'S'
const QUERY = 'Q'
const PARSE = 'P'
const TERMINATE = 'X'
const READY = 'Z'

/** Bytes that arrive in pieces, taken in wholes. */
class Pieces {
  #bytes = Buffer.alloc(0)

  add(bytes) {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
  }
  get length() {
    return this.#bytes.length
  }

  take(count) {
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    return taken
  }

  /** A message whose length stands after `head` bytes, or null if it has not come whole. */
  message(head) {
    if (this.#bytes.length < head + 4) return null
    const length = head + this.#bytes.readInt32BE(head)
    return this.#bytes.length < length ? null : this.take(length)
  }
}

const frame = (type, ...parts) => {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const text = (letter, value) => Buffer.from(`${letter}${value}\0`)

/** The statement of a Parse or Query message. */
function statementOf(message) {
  const type = String.fromCharCode(message[0])
  if (type === QUERY) return message.toString('utf8', 5, message.length - 1)
  if (type !== PARSE) return null
  const from = message.indexOf(0, 5) + 1
  return message.toString('utf8', from, message.indexOf(0, from))
}

export class PostgresFrames {
  #up = new Pieces()
  #down = new Pieces()
  #isStarted = false
  #isReady = false
  #isOpaque = false
  #awaitsByte = 0
  #unit = []

  /** Bytes that a client sent, as requests (`{ bytes, what }`) and bytes to pass on (`{ bytes, what: null }`). */
  up(bytes) {
    if (this.#isOpaque) return [{ bytes, what: null }]
    this.#up.add(bytes)
    const found = []
    for (let message = this.#next(); message !== null; message = this.#next()) found.push(...this.#sort(message))
    return found
  }

  #next() {
    return this.#up.message(this.#isStarted ? 1 : 0)
  }

  #sort(message) {
    if (!this.#isStarted) {
      const code = message.length === 8 ? message.readInt32BE(4) : 0
      if (code === SSL_REQUEST || code === GSS_REQUEST) this.#awaitsByte += 1
      else this.#isStarted = true
      return [{ bytes: message, what: null }]
    }
    const type = String.fromCharCode(message[0])
    if (!this.#isReady || type === TERMINATE) return [{ bytes: message, what: null }]
    this.#unit.push(message)
    if (type !== SYNC && type !== QUERY) return []
    const what = this.#unit
      .map(statementOf)
      .filter((statement) => statement !== null)
      .join('; ')
    const whole = Buffer.concat(this.#unit)
    this.#unit = []
    return [{ bytes: whole, what }]
  }

  #answer = []

  /** Bytes that the server sent, as answers (`isAnswer`) and bytes to pass on; `isAwaited` tells whether a request waits for an answer. */
  down(bytes, isAwaited) {
    const found = []
    if (this.#awaitsByte > 0 && bytes.length > 0) {
      this.#awaitsByte -= 1
      // Encrypted from here on.
      if (bytes[0] === 'S'.charCodeAt(0)) this.#isOpaque = true
      found.push({ bytes: bytes.subarray(0, 1), isAnswer: false })
      bytes = bytes.subarray(1)
    }
    if (bytes.length === 0) return found
    if (this.#isOpaque) return [...found, { bytes, isAnswer: false }]
    this.#down.add(bytes)
    for (let message = this.#down.message(1); message !== null; message = this.#down.message(1)) {
      const isLast = String.fromCharCode(message[0]) === READY
      if (!this.#isReady) {
        found.push({ bytes: message, isAnswer: false })
        this.#isReady ||= isLast
      } else if (!isAwaited(found.filter(({ isAnswer }) => isAnswer).length)) found.push({ bytes: message, isAnswer: false })
      else {
        this.#answer.push(message)
        if (!isLast) continue
        found.push({ bytes: Buffer.concat(this.#answer), isAnswer: true })
        this.#answer = []
      }
    }
    return found
  }

  /** The answer of a server that is too busy for a request. */
  refusal() {
    const fields = [text('S', 'ERROR'), text('V', 'ERROR'), text('C', '53300'), text('M', 'too busy'), Buffer.from([0])]
    return Buffer.concat([frame('E', ...fields), frame(READY, Buffer.from('I'))])
  }
}
