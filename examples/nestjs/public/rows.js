// The list's rows. A refresh changes what has changed and leaves the rest of the page as it is.
//
// Invariants: text comes from the service, markup never does. A row keeps its elements for as long as it is shown, so that what
// is selected, focused or scrolled to stays so.

import { BACKUP, PROBLEMS, STATUS, ago, nameOf, span } from './words.js'

/** An element with text or other elements in it. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children)
  return made
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name)
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}

export function setBadge(node, [label, tone]) {
  setText(node, label)
  setAttribute(node, 'class', `badge ${tone}`)
}

const OWNERS = {
  'this instance': 'This instance',
  'a newer instance': 'A newer instance',
  'opening here': 'Opening here',
  'not open here': 'Not open here'
}

function ownerDetail({ owner, instance, epoch, status }) {
  if (owner === 'a newer instance') return instance ?? 'name not known here'
  if (owner === 'this instance') return epoch === null ? '' : `epoch ${epoch}`
  return owner === 'not open here' && status === 'not_here' && instance !== null ? `last on ${instance}` : ''
}

function connectionDetail({ problems, problem, status }) {
  // The owner's column says it.
  if (status === 'taken_over') return ''
  const known = problems.filter((name) => name !== 'store_unavailable' && name in PROBLEMS).map((name) => PROBLEMS[name])
  return [...known, ...(problem === null ? [] : [problem])].join(': ')
}

function backupDetail({ lastBackupAt, backup }, now) {
  if (backup === 'nothing') return ''
  if (lastBackupAt !== null) return ago(lastBackupAt, now)
  return backup === 'ok' ? 'time not known' : ''
}

const isBehind = ({ owner, lagMs }) => owner === 'this instance' && lagMs !== null && lagMs > 0

const ON = ['connected', 'waiting_for_scan', 'queued', 'connecting', 'reconnecting', 'asking_owner']

/** True if a phone has it in its list of devices, as far as this instance knows. */
export const isLinked = ({ status, phone }) => phone !== null && status !== 'logged_out'

/** Buttons of a row, and the reason for one that is disabled. */
export function actionsOf(session) {
  const { status, owner } = session
  const isOn = ON.includes(status)
  const isHere = owner === 'this instance'
  const isElsewhere = ['taken_over', 'not_here'].includes(status)
  return [
    isOn ? { name: 'disconnect', label: 'Disconnect' } : { name: 'connect', label: isElsewhere ? 'Take over' : 'Connect' },
    { name: 'sync', label: 'Sync', not: isHere ? null : 'The session is not open on this instance' },
    {
      name: 'remove',
      label: isLinked(session) ? 'Log out' : 'Remove',
      not: isElsewhere ? 'Another instance runs the session: take it over first' : null
    }
  ]
}

/** One row, made once. `show(session, now, isBusy)` brings it up to date. */
function createRow() {
  const [name, phone] = [element('span'), element('div', { class: 'sub' })]
  const [status, why] = [element('span'), element('div', { class: 'sub' })]
  const [owner, ownerSub] = [element('span'), element('div', { class: 'sub' })]
  const [backup, last, lag, store] = [
    element('span'),
    element('time'),
    element('div', { class: 'sub' }),
    element('div', { class: 'sub bad' })
  ]
  const buttons = [0, 1, 2].map((n) => element('button', { type: 'button', ...(n === 2 ? { class: 'risky' } : {}) }))
  const cell = (name, ...children) => element('td', { role: 'cell', 'data-name': name }, ...children)
  const row = element(
    'tr',
    { role: 'row' },
    element('th', { role: 'rowheader', scope: 'row' }, name, phone),
    cell('Connection', status, why),
    cell('Owner', owner, ownerSub),
    cell('Backup', backup, element('div', { class: 'sub' }, last), lag, store),
    cell('Actions', element('div', { class: 'buttons' }, ...buttons))
  )

  function show(session, now, isBusy) {
    row.session = session
    setAttribute(row, 'data-session', nameOf(session))
    setAttribute(row, 'data-problem', String(session.problems.length > 0))
    setText(name, nameOf(session))
    setText(phone, session.phone ?? '')
    setBadge(status, STATUS[session.status] ?? [session.status, 'idle'])
    setText(why, connectionDetail(session))
    setText(owner, OWNERS[session.owner] ?? session.owner)
    setText(ownerSub, ownerDetail(session))
    setBadge(backup, BACKUP[session.backup] ?? [session.backup, 'idle'])
    setText(last, backupDetail(session, now))
    setAttribute(last, 'datetime', session.lastBackupAt)
    setAttribute(last, 'title', session.lastBackupAt === null ? null : new Date(session.lastBackupAt).toLocaleString('en-GB'))
    setText(lag, isBehind(session) ? `${span(session.lagMs)} behind` : '')
    setText(store, session.problems.includes('store_unavailable') ? PROBLEMS.store_unavailable : '')
    actionsOf(session).forEach((action, n) => showButton(buttons[n], session, action, isBusy))
  }
  return { row, show }
}

function showButton(button, session, { name, label, not }, isBusy) {
  setText(button, label)
  setAttribute(button, 'data-action', name)
  setAttribute(button, 'aria-label', `${label} ${nameOf(session)}`)
  setAttribute(button, 'aria-busy', isBusy ? 'true' : null)
  // Not `disabled`, which would take the focus away.
  setAttribute(button, 'aria-disabled', isBusy || not ? 'true' : null)
  setAttribute(button, 'title', not ?? null)
}

const shown = new Map()

/** Rows that somebody works with: text in them is selected, or a button has the focus. */
function heldIn(rows) {
  const selection = document.getSelection()
  return [document.activeElement, selection.isCollapsed ? null : selection.anchorNode].flatMap(
    (node) => rows.find((row) => row.contains(node)) ?? []
  )
}

/** Does it, and leaves the row that is worked with, or the first that is in sight, where it was on the screen. */
export function inPlace(body, change) {
  const rows = [...body.children]
  const [anchor] = [...heldIn(rows), ...(scrollY > 0 ? rows.filter((row) => row.getBoundingClientRect().top >= 0) : [])]
  const top = () => anchor.getBoundingClientRect().top
  const before = anchor === undefined ? 0 : top()
  change()
  if (anchor?.isConnected) scrollBy({ top: top() - before, behavior: 'instant' })
}

/** Held rows are not moved: others go around them. */
function placeRows(body, wanted) {
  const held = heldIn(wanted)
  wanted.forEach((row, n) => {
    if (body.children[n] === row) return
    if (!held.includes(row) || !row.isConnected) return body.insertBefore(row, body.children[n] ?? null)
    // Everything between its place and where it is goes behind it, in front of which it then is.
    while (body.children[n] !== row) row.after(body.children[n])
  })
}

/** `isBusy(name)`: whether an action of that session is under way. */
export function showRows(body, sessions, now, isBusy) {
  const names = new Set(sessions.map(nameOf))
  for (const [name, { row }] of shown) {
    if (names.has(name)) continue
    row.remove()
    shown.delete(name)
  }
  const rows = sessions.map((session) => {
    const name = nameOf(session)
    if (!shown.has(name)) shown.set(name, createRow())
    const { row, show } = shown.get(name)
    show(session, now, isBusy(name))
    return row
  })
  placeRows(body, rows)
}
