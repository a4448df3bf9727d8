// Resetting a connection, so that the other side sees it break.
//
// Invariant: the socket is closed afterwards, whatever was going on. A reset while an end of it is under way is refused by the system
// library: Node then never closes the socket, and neither does its process end.

/** Ends `socket` at once: by a reset, or without one where its end was under way and everything has been said. */
export function resetSocket(socket) {
  if (socket.destroyed) return
  const isEnding = socket.writableEnded && !socket.writableFinished
  // What `resetAndDestroy` sets; that would begin an end, and meet it if anything destroys the socket meanwhile.
  socket.resetAndClosing = !isEnding
  socket.destroy()
}
