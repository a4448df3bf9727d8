// The status page's list: searched, filtered, problems first, and a page of it at a time, so that it stays light with thousands.
//
// Invariant: no phone number leaves here as it is; its last digits tell numbers apart.

import { IsIn, IsOptional, Matches, MaxLength } from 'class-validator'
import { PROBLEMS, type SessionView } from './views.js'

export const PAGE_SIZE = 50

const CONNECTING = ['queued', 'connecting', 'waiting_for_scan', 'reconnecting', 'asking_owner']
const ELSEWHERE = ['taken_over', 'not_here']

const FILTERS = {
  all: () => true,
  problems: ({ problems }: SessionView) => problems.length > 0,
  connected: ({ status }: SessionView) => status === 'connected',
  connecting: ({ status, owner }: SessionView) => CONNECTING.includes(status) || (owner === 'opening here' && status !== 'connected'),
  elsewhere: ({ status, owner }: SessionView) => ELSEWHERE.includes(status) && owner !== 'opening here',
  off: (view: SessionView) => !['connected', 'connecting', 'elsewhere'].some((name) => FILTERS[name as 'connected'](view))
}
type Filter = keyof typeof FILTERS

export class OverviewQuery {
  @IsOptional()
  @MaxLength(100)
  search: string = ''

  @IsOptional()
  @IsIn(Object.keys(FILTERS))
  show: Filter = 'all'

  @IsOptional()
  @Matches(/^[1-9]\d{0,5}$/, { message: 'page must be a number from 1' })
  page: string = '1'
}

/** The worst problem decides; then codes that wait for a phone, then sessions in transition. */
function rankOf(view: SessionView): number {
  if (view.problems.length > 0) return PROBLEMS.indexOf(view.problems[0])
  if (view.qrWaiting) return PROBLEMS.length
  return PROBLEMS.length + (FILTERS.connecting(view) ? 1 : 2)
}

function matcher(search: string): (view: SessionView) => boolean {
  const text = search.trim().toLowerCase()
  const digits = /^\+?\d[\d ]+$/.test(text) ? text.replace(/\D/g, '').slice(-4) : null
  return ({ userId, sessionId, phone }) => {
    return (
      `${userId} / ${sessionId}`.includes(text) ||
      `${userId}/${sessionId}`.includes(text) ||
      (digits !== null && phone !== null && phone.endsWith(digits))
    )
  }
}

const masked = (view: SessionView) => ({ ...view, phone: view.phone === null ? null : `…${view.phone.slice(-4)}` })

/** `views` in the order of their names, which those of one rank keep. */
export function overviewOf(views: SessionView[], { search, show, page }: OverviewQuery) {
  const count = (list: SessionView[]) =>
    Object.fromEntries(Object.entries(FILTERS).map(([name, isMeant]) => [name, list.filter(isMeant).length]))
  const found = views.filter(matcher(search))
  const sorted = found
    .filter(FILTERS[show])
    .map((view) => ({ view, rank: rankOf(view) }))
    .sort((a, b) => a.rank - b.rank)
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE_SIZE))
  const current = Math.min(Number(page), pages)
  const first = (current - 1) * PAGE_SIZE
  return {
    total: count(views),
    found: count(found),
    matching: sorted.length,
    first: sorted.length === 0 ? 0 : first + 1,
    page: current,
    pages,
    waiting: views
      .filter(({ qrWaiting }) => qrWaiting)
      .slice(0, 12)
      .map(({ userId, sessionId }) => ({ userId, sessionId })),
    sessions: sorted.slice(first, first + PAGE_SIZE).map(({ view }) => masked(view))
  }
}
