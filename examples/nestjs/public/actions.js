// Actions of an operator on a session, confirmed where it cannot be taken back, and what it came to.

import { element, isLinked } from './rows.js'
import { nameOf } from './words.js'

const byId = (id) => document.getElementById(id)
const NEWS_MS = 8000

const bodyOf = ({ userId, sessionId }) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify({ userId, sessionId }) })
const pathOf = ({ userId, sessionId }) => `/api/sessions/${encodeURIComponent(userId)}/${encodeURIComponent(sessionId)}`

function removal(session) {
  const name = nameOf(session)
  if (!isLinked(session))
    return {
      title: `Remove ${name}?`,
      text: 'It disappears from this list. What is left of its session is deleted.',
      yes: 'Remove',
      isRisky: true
    }
  const text =
    'The session is deleted on this machine and in the backup store. A phone must scan a new code to link it again. This cannot be undone.'
  const unheard = ' The session is not connected, so WhatsApp is not notified: also remove the device on the phone.'
  return { title: `Log out ${name}?`, text: session.status === 'connected' ? text : text + unheard, yes: 'Log out', isRisky: true }
}

/** `sure`: what is asked before it is done, if anything. */
const ACTIONS = {
  connect: {
    request: (session) => ['/api/whatsapp/connect', { method: 'POST', ...bodyOf(session) }],
    done: 'connecting',
    sure: (session) =>
      session.status === 'taken_over' || session.status === 'not_here'
        ? {
            title: `Take over ${nameOf(session)}?`,
            text: `${session.instance ?? 'Another instance'} may be running it. It stops there and connects here.`,
            yes: 'Take over',
            isRisky: false
          }
        : null
  },
  disconnect: {
    request: (session) => ['/api/whatsapp/disconnect', { method: 'POST', ...bodyOf(session) }],
    done: 'disconnected',
    sure: () => null
  },
  sync: {
    request: (session) => [`${pathOf(session)}/sync`, { method: 'POST' }],
    done: 'everything is in the backup store',
    sure: () => null
  },
  remove: {
    request: (session) => [pathOf(session), { method: 'DELETE' }],
    done: 'deleted',
    sure: removal
  }
}

function confirmed({ title, text, yes, isRisky }) {
  const dialog = byId('confirm')
  byId('confirm-title').textContent = title
  byId('confirm-text').textContent = text
  byId('confirm-yes').textContent = yes
  byId('confirm-yes').className = isRisky ? 'risky' : ''
  dialog.returnValue = 'no'
  dialog.showModal()
  return new Promise((resolve) => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true }))
}

/** An error stays until it was read. */
function tell(text, isError) {
  const close = element('button', { type: 'button' }, 'Dismiss')
  const line = element('p', {}, element('span', {}, text), close)
  close.addEventListener('click', () => line.remove())
  byId('news').append(line)
  while (byId('news').children.length > 3) byId('news').firstChild.remove()
  if (!isError) setTimeout(() => line.remove(), NEWS_MS)
}

async function reasonOf(answer) {
  const { code, message } = await answer.json().catch(() => ({}))
  return [message ?? `the service answered ${answer.status}`, code === undefined ? '' : ` (${code})`].join('')
}

const underWay = new Set()

export const isBusy = (name) => underWay.has(name)

/** Does it, if the operator is sure; `changed` is called whenever the page has something new to show. */
export async function act(action, session, changed) {
  const name = nameOf(session)
  if (underWay.has(name)) return
  const { request, done, sure } = ACTIONS[action]
  const question = sure(session)
  if (question !== null && !(await confirmed(question))) return
  underWay.add(name)
  changed()
  try {
    const answer = await fetch(...request(session))
    if (!answer.ok) throw new Error(await reasonOf(answer))
    tell(`${name}: ${done}.`, false)
  } catch (error) {
    tell(`${name}: ${error.message}`, true)
  } finally {
    underWay.delete(name)
    changed()
  }
}
