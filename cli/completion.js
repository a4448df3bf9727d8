'use strict'

// Scripts with which a shell completes the command line, made from the same table of commands as the help.
//
// Invariant: a script is complete by itself: it runs no command, reads no file and names no tenant. It completes the same behind `npx`,
// unless something else completes that already.

const { name: NAME } = require('../package.json')

const SHELLS = ['bash', 'zsh', 'fish']

/** Completion of a value: `words`, `files` or nothing that a script could know. */
function valueOf({ argChoices, flags, required }) {
  if (!required) return undefined
  if (argChoices !== undefined) return { words: argChoices }
  return /<(file|folder|report)>/.test(flags) ? { files: true } : {}
}

/** The table of a program: commands with their visible options. */
function tableOf(program) {
  const optionsOf = (command) =>
    command.options
      .filter(({ hidden }) => !hidden)
      .map((option) => ({ names: [option.short, option.long].filter(Boolean), text: option.description, value: valueOf(option) }))
  return {
    general: optionsOf(program),
    commands: program.commands
      .filter((command) => command.name() !== 'help')
      .map((command) => ({
        name: command.name(),
        text: command.summary(),
        options: [...optionsOf(command), { names: ['-h', '--help'], text: 'print this help' }],
        // Words for where no option is due.
        words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
        takesFiles: command.registeredArguments.some((argument) => /folder|from/.test(argument.name()))
      }))
  }
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`

function bash({ general, commands }) {
  const namesOf = (options) => options.flatMap(({ names }) => names)
  const values = commands.flatMap(({ name, options }) =>
    options
      .filter(({ value }) => value !== undefined)
      .map(({ names, value: { words, files } }) => {
        const pattern = names.map((option) => quoted(`${name} ${option}`)).join('|')
        const body = files ? '_files' : words ? `_words ${quoted(words.join('\n'))}` : ':'
        return `    ${pattern}) ${body.replace(/^_/, '_baileys_hybrid_auth_')}; return ;;`
      })
  )
  const cases = commands.map(({ name, options, words, takesFiles }) => {
    const rest =
      words.length > 0 ? `_baileys_hybrid_auth_words ${quoted(words.join('\n'))}` : takesFiles ? '_baileys_hybrid_auth_files' : ':'
    return `    ${name}) if [[ $cur == -* ]]; then _baileys_hybrid_auth_words ${quoted(namesOf(options).join('\n'))}; else ${rest}; fi ;;`
  })
  return `# Completion of ${NAME} for bash, with and without npx. Write it to a file once, and add to ~/.bashrc: source <file>
_baileys_hybrid_auth_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_baileys_hybrid_auth_files() { compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); }
_baileys_hybrid_auth() {
  local IFS=$'\\n' cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} command='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in -*) ;; *) command=\${COMP_WORDS[i]}; break ;; esac
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  case $command in
    '') _baileys_hybrid_auth_words ${quoted([...commands.map(({ name }) => name), ...namesOf(general)].join('\n'))} ;;
${cases.join('\n')}
  esac
}
complete -F _baileys_hybrid_auth ${NAME}
_baileys_hybrid_auth_npx() {
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${NAME}) COMP_WORDS=("\${COMP_WORDS[@]:i}"); ((COMP_CWORD -= i)); _baileys_hybrid_auth; return ;;
      -*) ;;
      *) break ;;
    esac
  done
  COMPREPLY=($(compgen -W ${NAME} -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -p npx >/dev/null 2>&1 || complete -o default -F _baileys_hybrid_auth_npx npx
`
}

function zsh({ general, commands }) {
  const plain = (text) => text.replace(/[[\]:\\]/g, '\\$&')
  const action = (value) =>
    value === undefined ? '' : value.files ? ':file:_files' : value.words ? `:value:(${value.words.join(' ')})` : ':value: '
  const specs = (options) =>
    options.flatMap(({ names, text, value }) => names.map((name) => quoted(`(${names.join(' ')})${name}[${plain(text)}]${action(value)}`)))
  const rest = ({ words, takesFiles }) => quoted(words.length > 0 ? `*:value:(${words.join(' ')})` : takesFiles ? '*:file:_files' : '*: :')
  const lines = commands.map(
    (command) => `        ${command.name}) _arguments -s ${[...specs(command.options), rest(command)].join(' ')} ;;`
  )
  return `#compdef ${NAME}
# Completion of ${NAME} for zsh, with and without npx. Write it to a file once, and add to ~/.zshrc, after compinit: source <file>
_baileys_hybrid_auth() {
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C ${specs(general).join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command)
      local -a commands
      commands=(${commands.map(({ name, text }) => quoted(`${name}:${text}`)).join(' ')})
      _describe command commands ;;
    rest)
      case $words[1] in
${lines.join('\n')}
      esac ;;
  esac
}
compdef _baileys_hybrid_auth ${NAME}
_baileys_hybrid_auth_npx() {
  local -i i
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      ${NAME}) shift $((i - 1)) words; ((CURRENT -= i - 1)); _baileys_hybrid_auth; return ;;
      -*) ;;
      *) break ;;
    esac
  done
  _alternative 'commands:command:(${NAME})' 'files:file:_files'
}
(( $+_comps[npx] )) || compdef _baileys_hybrid_auth_npx npx
`
}

function fish({ general, commands }) {
  const flags = (names) => names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(' ')
  const value = (how) => (how === undefined ? '' : how.files ? ' -r -F' : how.words ? ` -x -a ${quoted(how.words.join(' '))}` : ' -x')
  const line = (condition, text) => `complete -c ${NAME} -n ${quoted(condition)} ${text}`
  const option =
    (condition) =>
    ({ names, text, value: how }) =>
      line(condition, `${flags(names)} -d ${quoted(text)}${value(how)}`)
  const of = ({ name, text, options, words, takesFiles }) => {
    const condition = `__fish_seen_subcommand_from ${name}`
    const rest = words.length > 0 ? [line(condition, `-a ${quoted(words.join(' '))}`)] : takesFiles ? [line(condition, '-F')] : []
    return [line('__fish_use_subcommand', `-a ${name} -d ${quoted(text)}`), ...options.map(option(condition)), ...rest]
  }
  return `# Completion of ${NAME} for fish, with and without npx. Once: npx ${NAME} completion fish > ~/.config/fish/conf.d/${NAME}.fish
complete -c ${NAME} -f
${[...general.map(option('__fish_use_subcommand')), ...commands.flatMap(of)].join('\n')}
# The line behind npx and its options; fails if another program is there.
function __baileys_hybrid_auth_behind_npx
  set -l words (commandline -opc)
  set -e words[1]
  while set -q words[1]
    switch $words[1]
      case ${NAME}
        string join ' ' -- (string escape -- $words) (commandline -ct)
        return 0
      case '-*'
        set -e words[1]
      case '*'
        return 1
    end
  end
  return 2
end
function __baileys_hybrid_auth_names_npx
  __baileys_hybrid_auth_behind_npx >/dev/null
  test $status -eq 2
end
complete -c npx -f -n '__baileys_hybrid_auth_behind_npx >/dev/null' -a '(complete -C (__baileys_hybrid_auth_behind_npx))'
complete -c npx -n __baileys_hybrid_auth_names_npx -a ${NAME}
`
}

const MAKERS = { __proto__: null, bash, zsh, fish }

const completion = (program, shell) => MAKERS[shell](tableOf(program))

module.exports = { SHELLS, completion, tableOf }
