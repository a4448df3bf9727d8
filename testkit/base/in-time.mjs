// An end to waiting: a promise that never settles fails the test that waits for it, by name.
//
// Invariant: the time is generous and only there to end a broken run; whatever settles before is passed on as it is.

/** Settles as `promise` does, or rejects after `ms`; `what` is the sentence about it, or gives it at that moment. */
export async function inTime(what, promise, ms = 600_000) {
  let timer
  const late = new Promise((_, reject) => {
    const told = () => (typeof what === 'function' ? what() : what)
    timer = setTimeout(() => reject(new Error(`waited ${ms / 1000} s in vain: ${told()}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
