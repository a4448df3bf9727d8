//! Classification of failures: the one place where a status, a code or a broken connection becomes a decision.
//!
//! Adapters hand over what they got; nothing else of the engine ever looks at a status. A refusal keeps only words of the
//! vocabulary below: no message and no other word, which may hold names, no address, no header.

use std::time::Duration;

use super::Operation;
use crate::error::{Cause, Code, Error};
use crate::platform::meter::{Count, METERS};

/// Meaning of an answer other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// There is no such object.
    Absent,
    /// The credentials are not allowed to do this: asking again will not help.
    Denied,
    /// The bucket or the address is wrong: asking again will not help.
    NotConfigured,
    /// Too many requests: ask again, not before the time given.
    Throttled(Option<Duration>),
    /// It failed and had no effect: ask again.
    Transient,
    /// It may have taken effect: ask again, names are unique and bytes the same.
    Ambiguous,
    /// The request itself can never succeed.
    Impossible,
    /// The object is too large for the store: in parts it may be stored.
    TooLarge,
}

impl Meaning {
    /// Row in which it is counted.
    pub fn count(self) -> &'static Count {
        let all = &METERS.failures;
        match self {
            Meaning::Absent => &all.absent,
            Meaning::Denied => &all.denied,
            Meaning::NotConfigured => &all.not_configured,
            Meaning::Throttled(_) => &all.throttled,
            Meaning::Transient => &all.transient,
            Meaning::Ambiguous => &all.ambiguous,
            Meaning::Impossible => &all.impossible,
            Meaning::TooLarge => &all.too_large,
        }
    }
}

/// A request that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its meaning.
    pub meaning: Meaning,
    /// Words of the store, without names, credentials or addresses.
    pub detail: String,
    /// Remedy, where an adapter knows better than [`Meaning`] alone.
    pub advice: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// A failure of `meaning`, of which the store said `detail`.
    pub fn new(meaning: Meaning, detail: impl Into<String>) -> Failure {
        Failure { meaning, detail: detail.into(), advice: None }
    }

    /// The same, with what to do about it.
    pub fn advise(self, advice: impl Into<String>) -> Failure {
        Failure { advice: Some(advice.into()), ..self }
    }

    /// True if asking again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.meaning, Meaning::Throttled(_) | Meaning::Transient | Meaning::Ambiguous)
    }

    /// Pause before the next try.
    pub fn pause(&self, planned: Duration) -> Duration {
        match self.meaning {
            Meaning::Throttled(Some(asked)) => planned.max(asked),
            _ => planned,
        }
    }

    /// The failure as the user sees it.
    pub fn error(&self, doing: &str) -> Error {
        let (cause, usual): (Cause, _) = match self.meaning {
            Meaning::Denied => (
                Code::RemoteRefused.into(),
                "the store rejected the credentials; check the key and its permissions",
            ),
            Meaning::NotConfigured | Meaning::Absent => {
                (Code::RemoteRefused.into(), "there is no such bucket or directory; check the `store` option")
            }
            Meaning::Impossible => (Code::RemoteRefused.into(), "the store cannot accept this request"),
            Meaning::TooLarge => (
                Code::RemoteRefused.into(),
                "the object is larger than the store accepts; raise its size limit for files or requests",
            ),
            Meaning::Throttled(_) | Meaning::Transient | Meaning::Ambiguous => {
                (Cause::Unreachable, "the store is unavailable; retry later")
            }
        };
        let advice = self.advice.as_deref().unwrap_or(usual);
        Error::new(cause, format!("{doing}: {advice} ({})", self.detail)).with_source(self.clone())
    }
}

/// A complete answer over HTTP that is no success.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The status that counts: some stores say one thing in the status line and another, true one in the body.
    pub status: u16,
    /// The store's own word for it, if it gave one.
    pub code: Option<&'a str>,
    /// Time for which it asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// The longest that a store may ask to be left alone: a mistaken header must not stop replication for a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Meaning of an answer to `asked`.
pub fn judge(refusal: &Refusal<'_>, asked: Operation) -> Failure {
    let Refusal { status, code, retry_after } = *refusal;
    let retry_after = retry_after.map(|asked| asked.min(MAX_RETRY_AFTER));
    // Only words that are known are repeated: any other may hold a name.
    let known = code.and_then(|word| by_word(word, retry_after).map(|meaning| (word, meaning)));
    let (meaning, detail) = match known {
        Some((word, meaning)) => (meaning, format!("status {status}, {word}")),
        None => (by_status(status, retry_after), format!("status {status}")),
    };
    let meaning = match meaning {
        // Whatever could not be done may have been done, unless nothing was to be changed.
        Meaning::Ambiguous if !asked.changes() => Meaning::Transient,
        // What cannot be missing points at the place: a bucket or an address that is not there.
        Meaning::Absent if matches!(asked, Operation::Put | Operation::List) => Meaning::NotConfigured,
        meaning => meaning,
    };
    let failure = Failure::new(meaning, detail);
    match known.map(|(word, _)| word) {
        Some("RequestTimeTooSkewed") => failure.advise("the clock of this machine is wrong; set it (NTP)"),
        Some("InvalidAccessKeyId") => failure.advise(
            "the store does not know this access key id; check that it is complete, without quotes, and belongs to this endpoint",
        ),
        Some("SignatureDoesNotMatch") => {
            failure.advise("the signature does not match; the secret access key is wrong")
        }
        Some("ExpiredToken" | "TokenRefreshRequired" | "RequestExpired") => {
            failure.advise("the credentials have expired; supply new ones")
        }
        Some("AllAccessDisabled" | "AccountProblem" | "NotSignedUp" | "UserProjectAccountProblem") => {
            failure.advise("the account that the bucket belongs to is closed, or its bill is not paid; ask the provider")
        }
        Some("InvalidToken") => failure.advise(
            "the session token does not belong to these keys; use all three of one set of temporary credentials",
        ),
        _ => failure,
    }
}

fn by_word(word: &str, retry_after: Option<Duration>) -> Option<Meaning> {
    Some(match word {
        "NoSuchKey" | "NoSuchVersion" => Meaning::Absent,
        "NoSuchBucket"
        | "InvalidBucketName"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "NoSuchTenant"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "FeatureNotEnabled" => Meaning::NotConfigured,
        "AccessDenied"
        | "AllAccessDisabled"
        | "AccountProblem"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "ExpiredToken"
        | "TokenRefreshRequired"
        | "SignatureDoesNotMatch"
        | "InvalidSecurity"
        | "NotSignedUp"
        | "RequestTimeTooSkewed"
        | "RequestExpired"
        | "AuthenticationRequired"
        | "Unauthorized"
        | "InvalidJWT"
        | "InvalidCredentials"
        | "UserProjectAccountProblem"
        | "UserProjectAccessDenied"
        | "invalid_grant"
        | "invalid_client"
        | "unauthorized_client" => Meaning::Denied,
        "SlowDown"
        | "TooManyRequests"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "rateLimitExceeded"
        | "Busy" => Meaning::Throttled(retry_after),
        "EntityTooLarge" => Meaning::TooLarge,
        "KeyTooLongError" | "KeyTooLong" | "InvalidKey" | "InvalidObjectName" | "InvalidMimeType"
        | "InvalidRange" | "MalformedXML" | "MethodNotAllowed" | "NotImplemented" => Meaning::Impossible,
        // The upload did not arrive whole, or somebody else was at it: nothing was stored.
        "IncompleteBody"
        | "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "ResourceLocked"
        | "LockTimeout" => Meaning::Transient,
        "InternalError" | "ServiceUnavailable" | "DatabaseTimeout" | "DatabaseError" | "S3Error" => {
            Meaning::Ambiguous
        }
        _ => return None,
    })
}

fn by_status(status: u16, retry_after: Option<Duration>) -> Meaning {
    match status {
        401 | 403 | 407 => Meaning::Denied,
        404 | 410 => Meaning::Absent,
        408 | 409 | 412 | 423 | 425 => Meaning::Transient,
        429 => Meaning::Throttled(retry_after),
        503 if retry_after.is_some() => Meaning::Throttled(retry_after),
        300..400 => Meaning::NotConfigured,
        413 => Meaning::TooLarge,
        400..500 => Meaning::Impossible,
        _ => Meaning::Ambiguous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Operation; 4] = [Operation::Put, Operation::Get, Operation::List, Operation::Delete];

    fn meaning(status: u16, code: Option<&str>, asked: Operation) -> Meaning {
        judge(&Refusal { status, code, retry_after: None }, asked).meaning
    }

    #[test]
    fn every_status_has_a_meaning_and_only_a_get_or_a_delete_finds_nothing() {
        for status in 300..1000 {
            for asked in ALL {
                let meaning = meaning(status, None, asked);
                if meaning == Meaning::Absent {
                    assert!(matches!(asked, Operation::Get | Operation::Delete), "{status}");
                }
                if meaning == Meaning::Ambiguous {
                    assert!(asked.changes() && status >= 500, "{status}");
                }
            }
        }
    }

    #[test]
    fn the_word_counts_more_than_the_status() {
        assert_eq!(meaning(400, Some("NoSuchKey"), Operation::Get), Meaning::Absent);
        assert_eq!(meaning(404, Some("NoSuchBucket"), Operation::Get), Meaning::NotConfigured);
        assert_eq!(meaning(400, Some("AccessDenied"), Operation::Put), Meaning::Denied);
        assert_eq!(meaning(400, Some("ExpiredToken"), Operation::Put), Meaning::Denied);
        assert_eq!(meaning(503, Some("SlowDown"), Operation::Put), Meaning::Throttled(None));
        assert_eq!(meaning(500, Some("InternalError"), Operation::Put), Meaning::Ambiguous);
        assert_eq!(meaning(500, Some("InternalError"), Operation::List), Meaning::Transient);
        assert_eq!(meaning(418, Some("Whatever"), Operation::List), Meaning::Impossible);
    }

    #[test]
    fn what_may_hold_a_name_is_never_repeated() {
        for code in ["+49 151 1234567", "49151234567", "Tenant", "a/b", "", "49151234567@s.whatsapp.net"] {
            let failure =
                judge(&Refusal { status: 400, code: Some(code), retry_after: None }, Operation::Put);
            assert_eq!(failure.detail, "status 400");
        }
    }

    #[test]
    fn a_store_is_left_alone_as_long_as_it_asks_and_no_longer_than_is_sane() {
        let asked = |secs| {
            let retry_after = Some(Duration::from_secs(secs));
            judge(&Refusal { status: 429, code: None, retry_after }, Operation::Put)
                .pause(Duration::from_millis(5))
        };
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(86_400), MAX_RETRY_AFTER);
        assert_eq!(asked(0), Duration::from_millis(5));
    }
}
