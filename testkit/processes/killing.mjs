// Starts writers, kills them at random moments, and holds what the next one finds against what was acknowledged.
//
// Invariant: a tenant's state must be exactly the state after some batch `k`, with `k` at least the last acknowledged batch and
// at most those that could have been on their way. LSNs count batches, so the LSN found must be `k` itself.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'
import { Fold, WIDTH } from './child-history.mjs'

/** Batches that are acknowledged in one life of four, at the least. */
const LEAST = 50

const PROGRAM = fileURLToPath(new URL('./child-writer.mjs', import.meta.url))

/** Output that a life with this number must have written before it ends, see `child-writer.mjs`. */
function momentOf(life, random, tenants) {
  if (life % 26 === 25) return { r: 1 }
  return [{ u: 1 }, { w: random.below(tenants) }, { w: tenants }, { a: LEAST + random.below(LEAST) }][life % 4]
}

export class Lane {
  kills = 0
  found = 0
  acknowledged = 0
  rolls = 0
  cutShort = 0

  /** @param {{ name: string, folder: string, tenants: object[], random: { below(n: number): number } }} o */
  constructor(o) {
    Object.assign(this, o)
    this.known = new Map(this.tenants.map(({ id, history }) => [id, { least: 0, most: 0, fold: new Fold(history) }]))
  }

  /**
   * One life of a writer, ended by SIGKILL a little after a moment that each comes to, however slow the machine is: while it
   * opens, as soon as some tenants write, when all do, when so much is acknowledged, or when a log was rewritten.
   */
  async liveAndDie(longest) {
    const moment = momentOf(this.kills, this.random, this.tenants.length)
    const delay = this.random.below(longest)
    await this.#run(true, async (child) => {
      await new Promise((resolve) => {
        const said = {}
        child.stdout.setEncoding('latin1').on('data', (text) => {
          for (const letter of text) said[letter] = (said[letter] ?? 0) + 1
          if (Object.entries(moment).every(([letter, count]) => (said[letter] ?? 0) >= count)) resolve()
        })
        child.stdout.once('end', resolve)
      })
      await pause(delay)
      child.kill('SIGKILL')
      this.kills += 1
    })
  }

  /** A last look, by a process that ends by itself. */
  async lookAt() {
    const found = await this.#run(false, () => {})
    assert.equal(found, this.tenants.length, `${this.name}: every tenant opens at last`)
  }

  async #run(write, meddle) {
    const file = `${this.folder}/report`
    const argv = [PROGRAM, file, JSON.stringify({ tenants: this.tenants, write })]
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'exit')
    await meddle(child)
    const [code, signal] = await ended
    if (!write) assert.equal(code, 0, `${this.name}: the last look ended by ${signal ?? code}`)
    else assert.equal(signal, 'SIGKILL', `${this.name}: the writer ended by itself, with ${code}`)
    const lines = readFileSync(file, 'utf8').split('\n')
    rmSync(file)
    return this.#judge(lines.slice(0, -1))
  }

  #judge(lines) {
    let found = 0
    for (const line of lines) {
      const [what, id, number] = line.split(' ', 3)
      const known = this.known.get(id)
      if (what === 'ack') {
        known.least = Math.max(known.least, Number(number))
        known.most = Math.max(known.most, known.least + WIDTH)
        this.acknowledged += 1
      } else if (what === 'open') {
        found += 1
        this.#compare(id, known, Number(number), JSON.parse(line.slice(line.indexOf('{'))))
      } else if (what === 'rolled') this.rolls += 1
      else assert.fail(`${this.name}: ${line}`)
    }
    this.found += found
    return found
  }

  #compare(id, known, lsn, state) {
    const where = `${this.name}, tenant ${id}, after kill ${this.kills}, LSN ${lsn}`
    assert.ok(lsn >= known.least, `${where}: batch ${known.least} was acknowledged and is lost`)
    assert.ok(lsn <= known.most, `${where}: nobody wrote more than ${known.most}`)
    if (lsn > known.least) this.cutShort += 1
    const { creds, keys } = known.fold.upTo(lsn)
    assert.deepEqual(state, { creds, keys: Object.fromEntries(keys) }, where)
    known.least = lsn
    known.most = lsn + WIDTH
  }
}
