// Offers of zsh and fish themselves for a line: the script is sourced by the real shell, and the shell completes.
//
// Invariant: no configuration of the user takes part. A missing shell is installed where we may, and named where we may not.

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './command.mjs'
import { provide } from '../../testkit/install/apt.mjs'

const found = (name) => () => (spawnSync(name, ['--version']).status === 0 ? name : undefined)

/** Runs an interactive zsh on a terminal of its own, types the line and a tabulator, and gathers what is added to the matches. */
const ZSH = `
zmodload zsh/zpty
zpty shell zsh -f -i
say() { zpty -w shell "$1" }
wait_for() { until grep -qx "$1" $GATHERED 2>/dev/null; do sleep 0.05; done }
say 'autoload -Uz compinit && compinit -u -D'
say "$BEFORE"
say 'source $SCRIPT'
say 'compadd() {
  if [[ " $* " == *" -"[OAD]" "* ]]; then builtin compadd "$@"; return; fi
  local -a hits; builtin compadd -A hits "$@"
  print -rl -- "hit "\${(Q)^hits} >> $GATHERED
  builtin compadd "$@"
}'
say 'finished() { print over >> $GATHERED }; comppostfuncs=(finished)'
say 'bindkey "^I" complete-word; print ready >> $GATHERED'
wait_for ready
zpty -w -n shell "$1"$'\\t'
wait_for over
zpty -d shell
`

/** A function that tells what a shell offers for a line, in an order of ours. `before` is a line that runs before the script. */
const SHELLS = {
  zsh(t, script) {
    const zsh = provide('zsh', 'zsh', found('zsh'))
    return (cwd, line, before = ':') => {
      const folder = temporaryFolder(t)
      const [driver, gathered, path] = ['driver', 'gathered', 'script'].map((name) => join(folder, name))
      writeFileSync(driver, ZSH)
      writeFileSync(path, script)
      const env = { PATH: process.env.PATH, HOME: folder, TERM: 'dumb', SCRIPT: path, GATHERED: gathered, BEFORE: before }
      execFileSync(zsh, ['-f', driver, line], { cwd, env, timeout: 60_000, stdio: 'ignore' })
      return [
        ...new Set(
          readFileSync(gathered, 'utf8')
            .split('\n')
            .filter((text) => text.startsWith('hit ') && text !== 'hit ')
            .map((text) => text.slice(4))
        )
      ].sort()
    }
  },
  fish(t, script) {
    const fish = provide('fish', 'fish', found('fish'))
    return (cwd, line, before = ':') => {
      const folder = temporaryFolder(t)
      const path = join(folder, 'script.fish')
      writeFileSync(path, `${before}\n${script}`)
      const env = { PATH: process.env.PATH, HOME: folder }
      const out = execFileSync(fish, ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', path, line], {
        cwd,
        env,
        timeout: 60_000,
        encoding: 'utf8'
      })
      return [
        ...new Set(
          out
            .split('\n')
            .filter(Boolean)
            .map((text) => text.split('\t')[0].replace(/\/$/, ''))
        )
      ].sort()
    }
  }
}

export { SHELLS }
