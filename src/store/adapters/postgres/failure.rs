//! Meanings of the database's errors, by their SQLSTATE.
//!
//! Only codes are told: messages of the server hold names, and at times values.

use std::error::Error as _;

use tokio_postgres::Error;

use crate::store::Operation;
use crate::store::adapters::dial::unencrypted;
use crate::store::adapters::pool::{RequestFailure, unsettled};
use crate::store::failure::{Failure, Meaning};

/// A failure that no retry helps.
pub fn unusable(advice: &str) -> Failure {
    Failure::new(Meaning::NotConfigured, "unusable").advise(advice)
}

/// True if the server keeps a function to itself, or does not have it.
pub fn is_unknown_here(error: &Error) -> bool {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    matches!(code, Some("42501" | "42883" | "0A000"))
}

/// True if another process made the same thing in the same moment.
pub fn is_there_already(error: &Error) -> bool {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    matches!(code, Some("23505" | "42P06" | "42P07"))
}

/// Meaning of an error in answer to `asked`, and whether the connection is of no use after it: it broke, or its server is no primary
/// any more. A table that is gone is no reason: another connection would make it again, and an empty store hides the loss.
pub fn broken(error: &Error, asked: Operation) -> RequestFailure {
    let ends_connection = match error.code().map(tokio_postgres::error::SqlState::code) {
        None => true,
        Some(code) => code == "25006" || code.starts_with("57P") || code.starts_with("08"),
    };
    RequestFailure { failure: of(error, asked), ends_connection }
}

/// Meaning of an error in answer to `asked`.
pub fn of(error: &Error, asked: Operation) -> Failure {
    if let Some(code) = error.code() {
        return by_code(code.code(), asked);
    }
    if let Some(io) = error.source().and_then(|source| source.downcast_ref::<std::io::Error>()) {
        let is_tls = io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        return if is_tls {
            unencrypted(io)
        } else {
            unsettled(asked, &format!("the connection broke: {}", io.kind()))
        };
    }
    // The library's own words, which hold no name.
    let text = format!("{error} {}", error.source().map(ToString::to_string).unwrap_or_default());
    if text.contains("TLS") {
        return Failure::new(Meaning::NotConfigured, "no TLS").advise(
            "the server does not encrypt connections; enable TLS there, or set `sslmode: 'disable'` on a private network",
        );
    }
    if text.contains("password missing") || text.contains("authentication") {
        return Failure::new(Meaning::Denied, "no password")
            .advise("the server requests a password, or a kind of authentication that is not supported; set `password`");
    }
    unsettled(asked, "the connection broke")
}

fn by_code(code: &str, asked: Operation) -> Failure {
    let meaning = match code {
        "3D000" | "3F000" | "42P01" | "42703" => Meaning::NotConfigured,
        "42501" => Meaning::Denied,
        "53300" | "53100" | "53200" | "53400" | "57014" => Meaning::Throttled(None),
        "25006" | "40001" | "40P01" | "55P03" | "55006" | "57P01" | "57P02" | "57P03" | "57P05" => {
            Meaning::Transient
        }
        "54000" => Meaning::TooLarge,
        _ => match code.get(..2) {
            Some("28") => Meaning::Denied,
            // A pooler has no server to give.
            Some("08") => unsettled(asked, "").meaning,
            Some("53") => Meaning::Throttled(None),
            Some("22" | "0A" | "42") => Meaning::Impossible,
            _ => unsettled(asked, "").meaning,
        },
    };
    // A statement that was ended may have been committed before its end was told.
    let meaning = match (meaning, code) {
        (Meaning::Transient, "57P01" | "57P02") => unsettled(asked, "").meaning,
        (meaning, _) => meaning,
    };
    let failure = Failure::new(meaning, format!("SQLSTATE {code}"));
    match code {
        "28P01" => failure.advise("the database rejected the password; check `user` and `password`"),
        "28000" => failure.advise(
            "the database rejected the connection; check the role, and whether the server expects TLS or another address (pg_hba.conf)",
        ),
        "3D000" => failure.advise("there is no such database; check the `store` option, or create it"),
        "3F000" | "42P01" | "42703" => failure.advise(
            "the table of the store is missing or another one; run the statements that `npx baileys-hybrid-auth schema` prints",
        ),
        "42501" => failure.advise(
            "the role has no permission for the table of the store; run the statements that `npx baileys-hybrid-auth schema` prints as its owner, or grant them",
        ),
        "53300" => failure.advise("the database has no connection left; raise `max_connections`, or use its pooler"),
        "08P01" => failure.advise(
            "the pooler in front of the database rejected the connection; check `user`, `password` and `database`, and whether the database runs",
        ),
        "53100" => failure.advise("the disk of the database is full"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_errors_has_its_meaning() {
        use Meaning::{Ambiguous, Denied, Impossible, NotConfigured, Throttled, TooLarge, Transient};
        let expected = [
            ("28P01", Denied),
            ("28000", Denied),
            ("42501", Denied),
            ("3D000", NotConfigured),
            ("3F000", NotConfigured),
            ("42P01", NotConfigured),
            ("53300", Throttled(None)),
            ("53100", Throttled(None)),
            ("53200", Throttled(None)),
            ("57014", Throttled(None)),
            ("57P03", Transient),
            ("40001", Transient),
            ("40P01", Transient),
            ("25006", Transient),
            ("55P03", Transient),
            ("57P01", Ambiguous),
            ("57P02", Ambiguous),
            ("08006", Ambiguous),
            ("XX000", Ambiguous),
            ("22021", Impossible),
            ("0A000", Impossible),
            ("42601", Impossible),
            ("54000", TooLarge),
        ];
        for (code, meaning) in expected {
            assert_eq!(by_code(code, Operation::Put).meaning, meaning, "{code}");
            let reading = by_code(code, Operation::List).meaning;
            assert_eq!(reading, if meaning == Ambiguous { Transient } else { meaning }, "{code}");
        }
    }
}
