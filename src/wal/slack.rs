//! The slack of a log: garbage that it may hold beside its live state, and thrice that, before it is rewritten.
//!
//! Tests that write little set less of it, each for its own thread.

/// Bytes of slack.
const SLACK: u64 = 4 << 20;

#[cfg(test)]
thread_local! {
    static LESS: std::cell::Cell<u64> = const { std::cell::Cell::new(SLACK) };
}

/// Bytes of slack.
#[cfg(not(test))]
pub fn slack() -> u64 {
    SLACK
}

/// Bytes of slack, as the test says.
#[cfg(test)]
pub fn slack() -> u64 {
    LESS.get()
}

/// Sets the slack of all logs on this thread; `None`: the usual.
#[cfg(test)]
pub fn set_slack(bytes: Option<u64>) {
    LESS.set(bytes.unwrap_or(SLACK));
}
