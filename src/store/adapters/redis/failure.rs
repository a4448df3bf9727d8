//! Meanings of the server's errors, by their first word.
//!
//! Only words that are known are told: the rest of a message may hold names.

use redis::{ErrorKind, RedisError};

use crate::store::Operation;
use crate::store::adapters::pool::{Broken, unsettled};
use crate::store::failure::{Failure, Meaning};

/// A failure that no retry helps.
pub fn unusable(detail: &str, advice: &str) -> Failure {
    Failure::new(Meaning::NotConfigured, detail).advise(advice)
}

/// Meaning of an error in answer to `asked`, and whether the connection is of no use after it.
pub fn broken(error: &RedisError, asked: Operation) -> Broken {
    let failure = of(error, asked);
    let is_other_server =
        matches!(error.code(), Some("READONLY" | "MOVED" | "LOADING" | "MASTERDOWN" | "UNBLOCKED"));
    Broken { failure, ends_connection: is_other_server || error.code().is_none() }
}

/// Meaning of an error in answer to `asked`.
pub fn of(error: &RedisError, asked: Operation) -> Failure {
    match error.code() {
        Some(word) => by_word(word, asked),
        None if error.kind() == ErrorKind::AuthenticationFailed => by_word("WRONGPASS", asked),
        None => unsettled(asked, "the connection broke"),
    }
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
            "the user may not run a command of the store: EVAL, GET, SET, DEL, STRLEN, GETRANGE, ZADD, ZREM, ZRANGEBYLEX, INFO, TIME, PUBLISH, SUBSCRIBE and WAIT, with the keys and the channel of its prefix",
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
