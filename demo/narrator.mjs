// Prints the demo's story: numbered acts, plain sentences, the time each step took at the right edge.
//
// Invariant: no line is wider than 100 columns.

const WIDTH = 100
const INDENT = '    '

export function makeNarrator(print = (line) => console.log(line)) {
  let act = 0
  const wrap = (text, width) => {
    const lines = ['']
    for (const word of text.split(' ')) {
      if (lines.at(-1).length + word.length + 1 > width) lines.push('')
      lines[lines.length - 1] += (lines.at(-1) ? ' ' : '') + word
    }
    return lines
  }
  const say = (text, ms) => {
    const time = ms === undefined ? '' : formatMs(ms)
    const lines = wrap(text, WIDTH - INDENT.length - 10)
    lines.forEach((line, i) => {
      const last = i === lines.length - 1 && time
      print(INDENT + (last ? line.padEnd(WIDTH - INDENT.length - time.length) + time : line))
    })
  }
  return {
    say,
    act: (title) => print(`\n${++act}. ${title}`),
    /** Does the work, then says what came of it and how long it took. */
    timed: async (work, tell) => {
      const started = performance.now()
      const result = await work()
      say(tell(result), performance.now() - started)
      return result
    }
  }
}

export const formatMs = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`)
export const count = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
export const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`)
