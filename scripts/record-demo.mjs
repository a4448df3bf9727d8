// Records a run of the demo as docs/demo.svg, a terminal that scrolls, for the documents.
//
//   npm run record                what `npm run demo` prints, with its own pace
//
// Invariant: every line is one that the demo printed, in its order, and nothing is left out: only pauses are shortened, and the last
// screen stays for a while before it begins anew. Who prefers no motion sees the last screen.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROWS = 30
const COLUMNS = 100
const LINE = 18
const CHARACTER = 7.83
const PADDING = 16
const BAR = 30
/** The longest pause between two lines, and how long the last screen stays, in seconds. */
const LONGEST_PAUSE = 1.2
const STAYS = 8

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Headings of acts are bright, and the time at the end of a line is dim. */
function markUp(line) {
  if (/^(\$|\d+\.) /.test(line)) return `<tspan class="act">${escape(line)}</tspan>`
  const [, text, time] = line.match(/^(.*?)( {2,}[\d.]+ m?s)?$/)
  return escape(text) + (time ? `<tspan class="time">${time}</tspan>` : '')
}

/** Times at which lines appear, in seconds from the first. */
function pace(recorded) {
  let at = 0
  return recorded.map((line, i) => (at += i === 0 ? 0 : Math.min(LONGEST_PAUSE, Math.max(0.05, (line.ms - recorded[i - 1].ms) / 1000))))
}

/** @param {Array<{ text: string, ms: number }>} recorded */
export function render(recorded) {
  const times = pace(recorded)
  const whole = times.at(-1) + STAYS
  const [width, height] = [2 * PADDING + COLUMNS * CHARACTER, BAR + 2 * PADDING + ROWS * LINE]
  const shift = (printed) => `transform: translateY(${(ROWS - printed) * LINE}px)`
  const steps = times.map((time, i) => `${((100 * time) / whole).toFixed(3)}% { ${shift(i + 1)} }`)
  const lines = recorded.map(({ text }, i) => `<text x="${PADDING}" y="${i * LINE + 13}">${markUp(text)}</text>`)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${Math.round(width)} ${height}" width="${Math.round(width)}" height="${height}" role="img" aria-labelledby="title">
<title id="title">npm run demo: a WhatsApp session loses its process, its disk and its owner, and no message</title>
<style>
text { font: 13px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d0d7de; white-space: pre }
.act { fill: #79c0ff; font-weight: bold }
.time { fill: #8b949e }
#lines { ${shift(recorded.length)}; animation: scroll ${whole.toFixed(2)}s step-end infinite }
@keyframes scroll {
${steps.join('\n')}
}
@media (prefers-reduced-motion: reduce) { #lines { animation: none } }
</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g fill="#30363d"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/><circle cx="56" cy="18" r="5"/></g>
<svg x="0" y="${BAR + PADDING}" width="${Math.round(width)}" height="${ROWS * LINE}"><g id="lines">
${lines.join('\n')}
</g></svg>
</svg>
`
}

async function record(args) {
  const started = performance.now()
  const recorded = [
    { text: '$ npm run demo', ms: 0 },
    { text: '', ms: 0 }
  ]
  const child = spawn(process.execPath, ['demo/main.mjs', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = new Promise((resolve) => child.on('close', resolve))
  for await (const text of createInterface({ input: child.stdout })) recorded.push({ text, ms: performance.now() - started })
  if ((await ended) !== 0) throw new Error('the demo failed')
  return recorded
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../docs/demo.svg', import.meta.url), render(await record(process.argv.slice(2))))
}
