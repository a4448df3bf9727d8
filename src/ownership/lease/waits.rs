//! Waits of a handover, as multiples of the interval in which an owner looks. docs/protocol.md has the arithmetic.

use std::time::Duration;

/// Time that an owner which looks every `interval` and was refused may take to store the rest, once it has said that it is at it.
pub fn linger(interval: Duration) -> Duration {
    interval * 12
}

/// Time that a predecessor that looks every `interval` may go on without noticing.
pub fn handover_wait(interval: Duration) -> Duration {
    interval * 2 + interval / 4 + Duration::from_millis(500)
}
