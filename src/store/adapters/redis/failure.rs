//! Meanings of the server's errors, by their first word.
//!
//! Only words that are known are told: the rest of a message may hold names.

use redis::{ErrorKind, RedisError};

use crate::store::Operation;
use crate::store::adapters::pool::{RequestFailure, unsettled};
use crate::store::failure::{Failure, Meaning};

/// A failure that no retry helps.
pub fn unusable(detail: &str, advice: &str) -> Failure {
    Failure::new(Meaning::NotConfigured, detail).advise(advice)
}

/// Meaning of an error in answer to `asked`, and whether the connection is of no use after it.
pub fn broken(error: &RedisError, asked: Operation) -> RequestFailure {
    let failure = of(error, asked);
    let is_other_server =
        matches!(error.code(), Some("READONLY" | "MOVED" | "LOADING" | "MASTERDOWN" | "UNBLOCKED"));
    RequestFailure { failure, ends_connection: is_other_server || error.code().is_none() }
}

/// Meaning of an error before the first answer.
pub fn unmade(error: &RedisError) -> Failure {
    if error.detail().is_some_and(|detail| detail.contains("DB index")) {
        return unusable("ERR", "the server has no database of this number; check `db`");
    }
    let failure = of(error, Operation::List);
    if error.code().is_some() || failure.meaning != Meaning::Transient {
        return failure;
    }
    failure.advise("the server ended the connection before its first answer; check the port, and whether it expects TLS (rediss://)")
}

/// Meaning of an error in answer to `asked`.
pub fn of(error: &RedisError, asked: Operation) -> Failure {
    match error.code() {
        Some("ERR") => by_word(within(error.detail().unwrap_or_default()), asked),
        Some(word) => by_word(word, asked),
        None if error.kind() == ErrorKind::AuthenticationFailed => by_word("WRONGPASS", asked),
        None => unsettled(asked, "the connection broke"),
    }
}

/// The word of the error that a script met: servers put it into a message of their own.
fn within(message: &str) -> &'static str {
    const WORDS: [&str; 6] = ["NOPERM", "OOM", "MISCONF", "READONLY", "NOREPLICAS", "WRONGTYPE"];
    if message.contains("ACL failure") || message.contains("No permissions") {
        return "NOPERM";
    }
    WORDS.into_iter().find(|word| message.contains(word)).unwrap_or("ERR")
}

fn by_word(word: &str, asked: Operation) -> Failure {
    let meaning = match word {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Meaning::Denied,
        "CROSSSLOT" | "WRONGTYPE" => Meaning::NotConfigured,
        "OOM" | "MISCONF" | "BUSY" | "NOREPLICAS" => Meaning::Throttled(None),
        "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED" | "ASK"
        | "UNBLOCKED" => Meaning::Transient,
        "ERR" => Meaning::Impossible,
        _ => return unsettled(asked, "an unknown error"),
    };
    let failure = Failure::new(meaning, word);
    match word {
        "NOAUTH" => failure.advise("the server requests a password; set `password`"),
        "WRONGPASS" => failure.advise("the server rejected the password; check `username` and `password`"),
        "NOPERM" => failure.advise(
            "the user may not run a command of the store: EVAL, GET, SET, DEL, STRLEN, GETRANGE, ZADD, ZREM, ZRANGEBYLEX, INFO, TIME, PUBLISH, SUBSCRIBE and WAIT, with the keys `{prefix}:*` and the channel `{prefix}:claims`",
        ),
        "CROSSSLOT" | "WRONGTYPE" => {
            failure.advise("something else uses the keys of the store; choose another `prefix`")
        }
        "OOM" => failure.advise("the memory of the server is full; raise `maxmemory`"),
        "MISCONF" => failure.advise("the server cannot write to its disk; check its log"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_met_counts() {
        for (message, word) in [
            ("ACL failure in script: User can't access any channels", "NOPERM"),
            ("Error running script: @user_script:5: -OOM command not allowed", "OOM"),
            ("Error running script: -READONLY You can't write against a read only replica", "READONLY"),
            ("unknown command", "ERR"),
        ] {
            assert_eq!(within(message), word, "{message}");
        }
    }

    #[test]
    fn every_word_has_its_meaning() {
        use Meaning::{Ambiguous, Denied, Impossible, NotConfigured, Throttled, Transient};
        let expected = [
            ("NOAUTH", Denied),
            ("WRONGPASS", Denied),
            ("NOPERM", Denied),
            ("CROSSSLOT", NotConfigured),
            ("OOM", Throttled(None)),
            ("MISCONF", Throttled(None)),
            ("BUSY", Throttled(None)),
            ("LOADING", Transient),
            ("READONLY", Transient),
            ("MASTERDOWN", Transient),
            ("CLUSTERDOWN", Transient),
            ("ERR", Impossible),
            ("WHATEVER", Ambiguous),
        ];
        for (word, meaning) in expected {
            assert_eq!(by_word(word, Operation::Put).meaning, meaning, "{word}");
            let reading = by_word(word, Operation::List).meaning;
            assert_eq!(reading, if meaning == Ambiguous { Transient } else { meaning }, "{word}");
            assert!(!by_word(word, Operation::Put).detail.contains("WHATEVER"), "only known words are told");
        }
    }
}
