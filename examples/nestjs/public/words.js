// Words of the page: labels, their tone, what the legend says of them; times and spans.

/** Status -> label, tone, meaning. */
export const STATUS = {
  connected: ['Connected', 'good', 'Linked to WhatsApp by this instance.'],
  waiting_for_scan: ['Waiting for scan', 'warn', 'A QR code waits for a phone. It expires after some minutes.'],
  queued: ['Starting soon', 'warn', 'The service has just started and connects this session next.'],
  connecting: ['Connecting', 'warn', 'The session is being opened, or WhatsApp has not answered yet.'],
  reconnecting: ['Reconnecting', 'warn', 'The connection was lost. The service retries after 1 second to 1 minute.'],
  asking_owner: [
    'Checking owner',
    'warn',
    'WhatsApp closed the connection because another program uses the session. The service checks which one.'
  ],
  replaced: ['Replaced', 'bad', 'A program outside this service uses the same credentials. Stop it, then connect again.'],
  logged_out: ['Logged out', 'bad', 'The device was removed on the phone. Connect to pair it again.'],
  taken_over: ['Runs elsewhere', 'idle', 'A newer instance took the session over.'],
  not_here: ['Not here', 'idle', 'The session was connected by another instance, which may still run it.'],
  disconnected: ['Disconnected', 'idle', 'An operator disconnected the session, or nobody scanned its code.'],
  new: ['Never paired', 'idle', 'No phone has scanned a code for it yet.']
}

/** Backup -> label, tone, meaning. */
export const BACKUP = {
  ok: ['Backed up', 'good', 'The store has the session. A change may be under way for a second or so.'],
  overdue: ['Overdue', 'bad', 'A change has waited for the store too long. Keep this machine’s disk.'],
  never: ['Never', 'bad', 'The session is in no store. If this disk is lost, it must be paired again.'],
  nothing: ['Nothing to back up', 'idle', 'The session was never paired, or was logged out.'],
  elsewhere: ['Elsewhere', 'idle', 'Another instance runs the session and backs it up. The time is the last one known here.']
}

/** Words for problems that neither of the badges tells. */
export const PROBLEMS = {
  unusable: 'A local write failed: disconnect, then connect again',
  lease_lost: 'Ownership could not be checked: disconnect, then connect again',
  store_unavailable: 'Backup store unavailable',
  not_opened: 'Could not be opened; retrying'
}

export const STORE = { ok: ['OK', 'good'], degraded: ['Unavailable', 'bad'], none: ['None', 'warn'], idle: ['No session open', 'idle'] }

export const FILTERS = {
  all: 'All',
  problems: 'Problems',
  connected: 'Connected',
  connecting: 'Connecting',
  elsewhere: 'Elsewhere',
  off: 'Off'
}

export const nameOf = ({ userId, sessionId }) => `${userId} / ${sessionId}`
export const number = (count) => count.toLocaleString('en')
export const clock = (time) => new Date(time).toLocaleTimeString('en-GB')

export function ago(time, now) {
  const seconds = Math.max(0, Math.round((now - new Date(time)) / 1000))
  if (seconds < 5) return 'just now'
  for (const [unit, size] of [
    ['day', 86400],
    ['hour', 3600],
    ['minute', 60]
  ]) {
    const count = Math.floor(seconds / size)
    if (count > 0) return `${count} ${unit}${count === 1 ? '' : 's'} ago`
  }
  return `${seconds} seconds ago`
}

export function span(ms) {
  if (ms < 1000) return `${ms} ms`
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min`
}
