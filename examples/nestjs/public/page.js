// The status page: asks the service every two seconds for the part of the list that is looked at, and shows it.
//
// Invariants: one question is under way at a time, and an answer to a former one is not shown. What cannot be confirmed any more
// is greyed, and says since when.

import { act, isBusy } from './actions.js'
import { element, inPlace, setAttribute, setText, showRows } from './rows.js'
import { BACKUP, FILTERS, STATUS, STORE, clock, nameOf, number } from './words.js'

const EVERY_MS = 2000
const STALE_AFTER_MS = 5000
const PATIENCE_MS = 10_000
const TYPING_MS = 200

const byId = (id) => document.getElementById(id)

/** View of the list; kept in the address, so that it can be shared and survives a reload. */
const view = { search: '', show: 'all', page: 1 }
let answer = null
let answeredAt = Date.now()
let asking = null
/** The session that the operator just connected: its code, if there is one, is what they look for. */
let connecting = null
let timer

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1))
  view.search = given.get('search') ?? ''
  view.show = given.get('show') in FILTERS ? given.get('show') : 'all'
  view.page = Math.max(1, Number.parseInt(given.get('page'), 10) || 1)
}

function writeAddress() {
  const said = Object.entries({ search: view.search, show: view.show === 'all' ? '' : view.show, page: view.page === 1 ? '' : view.page })
  const hash = new URLSearchParams(said.filter(([, value]) => value !== '')).toString()
  history.replaceState(null, '', hash === '' ? location.pathname : `#${hash}`)
}

const figures = new Map()

function showFigure(label, value, of = '', tone = '') {
  if (!figures.has(label)) {
    const [dd, small] = [element('dd'), element('span', { class: 'of' })]
    const text = document.createTextNode('')
    dd.append(text, ' ', small)
    figures.set(label, { dd, text, small })
    byId('figures').append(element('div', {}, element('dt', {}, label), dd))
  }
  const { dd, text, small } = figures.get(label)
  if (text.data !== value) text.data = value
  setText(small, of)
  setAttribute(dd, 'class', tone)
}

function showFigures({ total, figures: { total: paired, backed_up: backedUp, needs_backup: needed }, store }) {
  const [storeWord, storeTone] = STORE[store]
  showFigure('Need attention', number(total.problems), '', total.problems > 0 ? 'bad' : '')
  showFigure('Connected', number(total.connected), `of ${number(total.all)}`)
  showFigure('Backed up', number(backedUp), `of ${number(paired)} paired`, needed > 0 ? 'warn' : '')
  showFigure('Backup store', storeWord, '', storeTone === 'idle' ? '' : storeTone)
}

function showChips({ found }) {
  for (const name of Object.keys(FILTERS)) setText(byId(`count-${name}`), number(found[name]))
}

function showCodes(waiting) {
  byId('waiting').hidden = waiting.length === 0
  const moment = Math.floor(Date.now() / 4000)
  const wanted = new Map(waiting.map((session) => [nameOf(session), session]))
  for (const figure of [...byId('codes').children]) if (!wanted.has(figure.dataset.session)) figure.remove()
  for (const [name, { userId, sessionId }] of wanted) {
    const source = `/api/whatsapp/qr/${userId}/${sessionId}/picture?${moment}`
    const present = [...byId('codes').children].find(({ dataset }) => dataset.session === name)
    if (present !== undefined) setAttribute(present.querySelector('img'), 'src', source)
    else
      byId('codes').append(
        element(
          'figure',
          { class: 'card', 'data-session': name },
          element('img', { src: source, alt: `QR code to link a phone to ${name}`, width: 224, height: 224 }),
          element('figcaption', {}, name)
        )
      )
  }
}

function showPaging({ matching, first, page, pages, sessions, total }) {
  const range = matching === 0 ? 'No sessions' : `${number(first)}–${number(first + sessions.length - 1)} of ${number(matching)}`
  setText(byId('range'), range)
  setAttribute(byId('previous'), 'aria-disabled', page === 1 ? 'true' : null)
  setAttribute(byId('next'), 'aria-disabled', page === pages ? 'true' : null)
  for (const id of ['previous', 'next']) byId(id).hidden = pages === 1
  byId('none').hidden = matching > 0
  setText(byId('none'), total.all === 0 ? 'No sessions yet. POST /api/whatsapp/connect with a userId creates one.' : 'No session matches.')
}

function alarmOf(store) {
  if (store === 'degraded')
    return 'Backup store unavailable: sessions keep running. New changes exist only on this machine until it recovers.'
  return store === 'none' ? 'No backup store is configured: sessions exist only on this machine.' : ''
}

function show() {
  if (answer === null) return
  const now = new Date(answer.at).getTime() + (Date.now() - answeredAt)
  showRows(byId('rows'), answer.sessions, now, isBusy)
}

function showAnswer() {
  inPlace(byId('rows'), () => {
    showFigures(answer)
    showChips(answer)
    showCodes(answer.waiting)
    showPaging(answer)
    show()
    setText(byId('alarm'), alarmOf(answer.store))
  })
  setText(byId('at'), `${answer.instance} · updated ${clock(answer.at)}`)
  document.documentElement.classList.remove('stale')
  const code = [...byId('codes').children].find(({ dataset }) => dataset.session === connecting)
  if (code === undefined) return
  connecting = null
  code.scrollIntoView({ block: 'center' })
}

function showStale(error) {
  if (Date.now() - answeredAt < STALE_AFTER_MS) return
  document.documentElement.classList.add('stale')
  const since = answer === null ? '' : ` Showing data from ${clock(answer.at)}.`
  setText(byId('alarm'), `Can’t reach the service (${error.message}).${since}`)
}

async function refresh() {
  clearTimeout(timer)
  asking?.abort()
  const mine = (asking = new AbortController())
  try {
    const query = new URLSearchParams({ search: view.search, show: view.show, page: view.page })
    const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(PATIENCE_MS)])
    const response = await fetch(`/api/sessions?${query}`, { cache: 'no-store', signal })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    const news = await response.json()
    if (mine.signal.aborted) return
    answer = news
    answeredAt = Date.now()
    view.page = news.page
    showAnswer()
  } catch (error) {
    if (mine.signal.aborted) return
    showStale(error)
  }
  // A page that nobody sees asks for nothing.
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS)
}

function look(change) {
  Object.assign(view, change)
  writeAddress()
  refresh()
}

function turn(by) {
  look({ page: view.page + by })
  byId('list-title').scrollIntoView({ block: 'start' })
}

function makeChips() {
  for (const [name, label] of Object.entries(FILTERS)) {
    const input = element('input', { type: 'radio', name: 'show', value: name })
    byId('show').append(element('label', {}, input, label, element('span', { class: 'count', id: `count-${name}` })))
  }
}

function makeLegend() {
  for (const [label, tone, meaning] of [...Object.values(STATUS), ...Object.values(BACKUP)]) {
    byId('legend').append(element('dt', {}, element('span', { class: `badge ${tone}` }, label)), element('dd', {}, meaning))
  }
}

function showView() {
  byId('search').value = view.search
  document.querySelector(`#show [value="${view.show}"]`).checked = true
}

const isDead = (button) => button.getAttribute('aria-disabled') === 'true' || document.documentElement.classList.contains('stale')

makeChips()
makeLegend()
readAddress()
showView()
let typing
byId('search').addEventListener('input', ({ target }) => {
  clearTimeout(typing)
  typing = setTimeout(() => look({ search: target.value.trim(), page: 1 }), TYPING_MS)
})
byId('show').addEventListener('change', ({ target }) => look({ show: target.value, page: 1 }))
byId('filters').addEventListener('submit', (event) => event.preventDefault())
byId('previous').addEventListener('click', ({ target }) => isDead(target) || turn(-1))
byId('next').addEventListener('click', ({ target }) => isDead(target) || turn(1))
byId('rows').addEventListener('click', ({ target }) => {
  const button = target.closest('button')
  if (button === null || isDead(button)) return
  const { session } = button.closest('tr')
  connecting = button.dataset.action === 'connect' ? nameOf(session) : null
  act(button.dataset.action, session, () => (show(), refresh()))
})
addEventListener('hashchange', () => (readAddress(), showView(), refresh()))
document.addEventListener('visibilitychange', () => document.hidden || refresh())
refresh()
