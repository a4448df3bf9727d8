// Mutants of a Rust source: each of its guards, its statements without a result and its answers yes or no, one of which can be taken out
// at a time while the program runs. All of them are compiled at once, so that a thousand cost one build.
//
// Invariant: with no mutant chosen the changed source does what the given one does.

/** The text with comments, strings and characters blanked, so that what is left is structure; of the same length. */
function structure(text) {
  const tokens = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|r(#*)"[\s\S]*?"\1|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[^\n]+?|[^\\'\n])'/g
  return text.replace(tokens, (token) => token.replace(/[^\n]/g, ' '))
}

const CLOSING = { '(': ')', '[': ']', '{': '}' }

/** Place at which the bracket that opens at `at` is closed. */
function closed(code, at) {
  const [open, close] = [code[at], CLOSING[code[at]]]
  for (let depth = 0, i = at; i < code.length; i++) {
    if (code[i] === open) depth++
    if (code[i] === close && --depth === 0) return i
  }
  return code.length
}

/** The structure without what is for tests alone, and without what runs at compile time. */
function productive(code) {
  let left = code
  for (const item of [/#\[cfg\(test\)\]/g, /\bconst fn\b/g, /\bmacro_rules!/g]) {
    for (const found of code.matchAll(item)) {
      const semicolon = code.indexOf(';', found.index)
      const brace = code.indexOf('{', found.index)
      const end = brace < 0 || (semicolon >= 0 && semicolon < brace) ? semicolon : closed(code, brace)
      left = left.slice(0, found.index) + left.slice(found.index, end + 1).replace(/[^\n]/g, ' ') + left.slice(end + 1)
    }
  }
  return left
}

/** The parts of the condition that begins at `from`: those that `&&` joins, or those that `||` does. */
function parts(code, from) {
  let depth = 0
  const [ands, ors] = [[], []]
  let end = from
  for (; end < code.length; end++) {
    const char = code[end]
    if (depth === 0 && (char === '{' || code.startsWith('=>', end))) break
    if ('([{'.includes(char)) depth++
    if (')]}'.includes(char) && --depth < 0) break
    if (depth === 0 && code.startsWith('&&', end)) ands.push(end++)
    else if (depth === 0 && code.startsWith('||', end)) ors.push(end++)
  }
  // A mix of both is one part.
  const cuts = ors.length === 0 ? ands : ands.length === 0 ? ors : []
  const starts = [from, ...cuts.map((cut) => cut + 2)]
  return starts.map((start, i) => [start, cuts[i] ?? end])
}

/**
 * The text between two places without the white space around it, as places.
 * @type {(text: string, range: number[]) => [number, number]}
 */
function trimmed(text, [from, to]) {
  const inner = text.slice(from, to)
  return [from + inner.length - inner.trimStart().length, to - (inner.length - inner.trimEnd().length)]
}

const STATEMENT = /^[ ]+((?:let _ = |_ = )?(?:self|[a-z_]+(?:::|\.|\()|\(self)[^=\n]*;)$/gm
const NO_STATEMENT = /^(?:return|break|continue|drop|debug_assert|assert|use|mod|pub|let(?! _ =))\b/

/** The places of a source that have mutants: `[from, to, kind]`. */
function places(code) {
  const found = []
  for (const { index } of code.matchAll(/\bif\s/g)) {
    for (const part of parts(code, index + 2)) {
      const [from, to] = trimmed(code, part)
      if (to > from && !code.slice(from, to).startsWith('let ')) found.push([from, to, 'condition'])
    }
  }
  for (const match of code.matchAll(STATEMENT)) {
    const from = match.index + match[0].length - match[1].length
    const before = code.slice(0, from).trimEnd().at(-1)
    const opened = [...match[1]].reduce((depth, char) => depth + ('([{'.includes(char) ? 1 : ')]}'.includes(char) ? -1 : 0), 0)
    if (';{}'.includes(before) && opened === 0 && !NO_STATEMENT.test(match[1])) found.push([from, from + match[1].length, 'statement'])
  }
  for (const match of code.matchAll(/\b(async )?fn \w+[^;{}]*-> bool\s*\{/g)) {
    const brace = match.index + match[0].length - 1
    found.push([brace + 1, closed(code, brace), match[1] ? 'async answer' : 'answer'])
  }
  return found
}

const SHAPES = {
  condition: (id, text) => `crate::mutation::truth(${id}, ${text})`,
  statement: (id, text) => `if crate::mutation::stays(${id}) { ${text} }`,
  answer: (id, text) => `crate::mutation::truth(${id}, (|| -> bool {${text}})())`,
  'async answer': (id, text) => `crate::mutation::truth(${id}, async {${text}}.await)`
}

/**
 * Puts the mutants of a source in place.
 * @param {string} text the source
 * @param {number} first the number of its first mutant
 * @param {(place: { line: number, text: string }) => boolean} leaves whether a place is left as it is, for one that does not compile
 * @returns {{ text: string, mutants: { id: number, line: number, kind: string, text: string, values: string[] }[] }}
 */
export function mutate(text, first, leaves = () => false) {
  const code = productive(structure(text))
  const mutants = []
  const inserts = []
  for (const [from, to, kind] of places(code)) {
    const line = text.slice(0, from).split('\n').length + (kind.endsWith('answer') ? -1 : 0)
    const shown = kind.endsWith('answer') ? text.split('\n')[line].trim() || text.slice(from, to).trim() : text.slice(from, to)
    const mutant = { line, kind, text: shown.replace(/\s+/g, ' ').slice(0, 120) }
    if (leaves(mutant)) continue
    const id = first + mutants.length
    mutants.push({ id, ...mutant, values: kind === 'statement' ? ['false'] : ['true', 'false'] })
    const [before, after] = SHAPES[kind](id, '\0').split('\0')
    inserts.push([from, 1, before, to - from], [to, 0, after, to - from])
  }
  // From the end, so that places stay where they are; at one place what closes stands before what opens, and the inner before the outer.
  inserts.sort((a, b) => b[0] - a[0] || b[1] - a[1] || (a[1] === 1 ? a[3] - b[3] : b[3] - a[3]))
  let changed = text
  for (const [at, , inserted] of inserts) changed = changed.slice(0, at) + inserted + changed.slice(at)
  return { text: changed, mutants }
}

/**
 * The module that all of them ask: `MUTANT=<number>=<true or false>` chooses one, and the numbers of those that a process reaches go
 * into the file `MUTANTS_REACHED`, a line each.
 * @param {number} count of all mutants
 */
export const moduleOf = (count) => `//! Chooses the mutant that is in place.
use std::fs::File;
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static CHOSEN: LazyLock<Option<(u32, bool)>> = LazyLock::new(|| {
    let chosen = std::env::var("MUTANT").ok()?;
    let (id, value) = chosen.split_once('=')?;
    Some((id.parse().ok()?, value == "true"))
});
static NOTES: LazyLock<Option<File>> = LazyLock::new(|| {
    let name = std::env::var("MUTANTS_REACHED").ok()?;
    File::options().append(true).open(name).ok()
});
static REACHED: [AtomicBool; ${count}] = [const { AtomicBool::new(false) }; ${count}];

pub fn truth(id: u32, value: bool) -> bool {
    if let Some(mut notes) = NOTES.as_ref()
        && !REACHED[id as usize].swap(true, Ordering::Relaxed)
    {
        let _ = notes.write_all(format!("{id}\\n").as_bytes());
    }
    match *CHOSEN {
        Some((chosen, value)) if chosen == id => value,
        _ => value,
    }
}

pub fn stays(id: u32) -> bool {
    truth(id, true)
}
`
