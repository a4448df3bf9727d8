//! A refusal of Supabase: its meaning, and what to do about it.
//!
//! The status line says 400 for nearly everything, so the body's own status counts, and its code more than that; which of the
//! many reasons a key is refused for is told by its prose alone. That is compared with what is known, and never repeated: it may
//! hold names.

use serde::Deserialize;
use serde_json::Value;

use crate::store::Operation;
use crate::store::adapters::http::Reply;
use crate::store::failure::{Failure, Meaning, Refusal, judge};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    status_code: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    message: Value,
    #[serde(default)]
    code: Value,
}

/// Messages of the server, by a part of each, with the remedy. The key itself is wrong in each of these.
const PROSE: [(&str, &str); 8] = [
    ("\"exp\" claim", "the key has expired; take a new one, or the secret key (sb_secret_…), which does not"),
    ("jwt expired", "the key has expired; take a new one, or the secret key (sb_secret_…), which does not"),
    (
        "signature verification failed",
        "the key is not one of this project, or its secret was changed since; take the project's own",
    ),
    (
        "invalid signature",
        "the key is not one of this project, or its secret was changed since; take the project's own",
    ),
    ("(Algorithm) Header", "the key is not one of this project; use the project's own"),
    (
        "Invalid Compact JWS",
        "the key is not a whole key; copy it again, without quotes. For a server without sb_… keys use the service_role key",
    ),
    (
        "required property 'authorization'",
        "the server does not know keys of the form sb_…; use its service_role key, a JWT",
    ),
    // What PostgreSQL says of a role that it does not have.
    ("code: 22023", "the role in the key is unknown to the project's database; use the service_role key"),
];

const NO_KEY_OF_THIS: &str =
    "the key is not one of this project, or was revoked; copy the secret key again, without quotes";
const NO_PROJECT: &str = "there is no Supabase project at this address; it is https://REF.supabase.co, not that of the dashboard, or of your own server that of its gateway";
const PAUSED: &str = "the project is paused; restore it in the dashboard";

/// Meaning of a refusal. The body's own status counts, and its code more than that.
pub(super) fn refused(reply: &Reply, asked: Operation) -> Failure {
    let complaint: Option<Complaint> = serde_json::from_slice(&reply.body).ok();
    let is_other = complaint.is_none();
    let complaint = complaint.unwrap_or_default();
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    let (error, message, code) = (text(&complaint.error), text(&complaint.message), text(&complaint.code));
    let said = complaint.status_code.as_str().and_then(|text| text.parse().ok());
    let said = said.or_else(|| complaint.status_code.as_u64().and_then(|status| u16::try_from(status).ok()));
    let code = Some(code.as_str()).filter(|code| !code.is_empty());
    let refusal = Refusal { status: said.unwrap_or(reply.status), code, retry_after: reply.retry_after() };
    let failure = judge(&refusal, asked);
    // A page of something else is no answer about objects: least of all that there is none.
    if is_other && matches!(reply.status, 300..400 | 404 | 405 | 410) {
        return Failure { meaning: Meaning::NotConfigured, ..failure }.advise(NO_PROJECT);
    }
    if reply.status == 540 {
        return failure.advise(PAUSED);
    }
    if let Some((_, advice)) = PROSE.iter().find(|(words, _)| message.contains(words)) {
        return Failure { meaning: Meaning::Denied, ..failure }.advise(*advice);
    }
    match (failure.meaning, code, asked) {
        // An object that was replaced just now is missing for a moment; one that does not exist is `not_found`.
        (Meaning::Absent, _, _) if error == "Not found" => Failure { meaning: Meaning::Transient, ..failure },
        (Meaning::NotConfigured, Some("NoSuchBucket"), _) => failure.advise(
            "there is no such bucket, or the key has no access to it; create it (private) in the dashboard, or check the name and the key",
        ),
        // The gateway looks at the key alone.
        (Meaning::Denied, None, _) if reply.status == 401 => failure.advise(NO_KEY_OF_THIS),
        (Meaning::Denied, _, asked) => {
            let policy = match asked {
                Operation::Put => "INSERT, UPDATE and SELECT",
                Operation::Get | Operation::List => "SELECT",
                Operation::Delete => "DELETE and SELECT",
            };
            failure.advise(format!(
                "the store refused the key; use the project's secret (service_role) key, or give its role a policy for {policy} on storage.objects in this bucket"
            ))
        }
        (_, Some("InvalidMimeType"), _) => failure.advise(
            "the bucket accepts none of the types tried; add application/octet-stream to its allowed MIME types",
        ),
        (_, Some("EntityTooLarge"), _) => failure.advise(
            "the object is larger than allowed; raise the file size limit of the bucket and of the project",
        ),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str, asked: Operation) -> Failure {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        refused(&Reply { status, headers: reqwest::header::HeaderMap::new(), body }, asked)
    }

    #[test]
    fn every_reason_for_which_a_key_is_refused_has_words_of_its_own() {
        let denied = |message: &str| {
            let body = serde_json::json!({ "statusCode": "403", "error": "Unauthorized", "message": message, "code": "AccessDenied" });
            told(400, &body.to_string(), Operation::Put)
        };
        let cases = [
            (denied("Invalid Compact JWS"), "not a whole key"),
            (denied("signature verification failed"), "not one of this project"),
            (denied("\"exp\" claim timestamp check failed"), "has expired"),
            (denied("\"alg\" (Algorithm) Header Parameter value not allowed"), "not one of this project"),
            (denied("new row violates row-level security policy"), "a policy for INSERT, UPDATE and SELECT"),
            (
                told(401, "{\"message\":\"Invalid API key\",\"hint\":\"Double check.\"}", Operation::Put),
                "was revoked",
            ),
            (
                told(
                    400,
                    "{\"statusCode\":\"400\",\"error\":\"Error\",\"message\":\"headers must have required property 'authorization'\",\"code\":\"InvalidRequest\"}",
                    Operation::Put,
                ),
                "keys of the form sb_",
            ),
            (
                told(
                    500,
                    "{\"statusCode\":\"500\",\"error\":\"DatabaseError\",\"message\":\"database error, code: 22023\",\"code\":\"DatabaseError\"}",
                    Operation::Put,
                ),
                "role in the key",
            ),
        ];
        for (failure, words) in cases {
            let said = failure.error("trying the store out");
            assert_eq!(failure.meaning, Meaning::Denied, "{}", said.message);
            assert!(said.message.contains(words), "{words}: {}", said.message);
        }
    }

    #[test]
    fn what_is_no_project_never_says_that_an_object_is_missing() {
        for (status, body) in
            [(404, "<!DOCTYPE html>"), (404, ""), (405, ""), (307, ""), (308, "Redirecting...")]
        {
            for asked in [Operation::Put, Operation::Get, Operation::List, Operation::Delete] {
                let failure = told(status, body, asked);
                assert_eq!(failure.meaning, Meaning::NotConfigured, "{status} {body}");
                assert!(failure.error("x").message.contains("no Supabase project"));
            }
        }
        let missing = "{\"statusCode\":\"404\",\"error\":\"not_found\",\"message\":\"Object not found\",\"code\":\"NoSuchKey\"}";
        assert_eq!(told(400, missing, Operation::Get).meaning, Meaning::Absent);
    }

    #[test]
    fn a_paused_project_is_waited_for_and_said_to_be_paused() {
        let failure = told(540, "<html>", Operation::Put);
        assert!(failure.may_pass() && failure.error("x").message.contains("paused"));
    }

    #[test]
    fn the_servers_prose_is_never_repeated() {
        let body = "{\"statusCode\":\"403\",\"error\":\"49151\",\"message\":\"49151234567 signature verification failed\",\"code\":\"49151\"}";
        let said = told(400, body, Operation::Put).error("x").message;
        assert!(!said.contains("49151"), "{said}");
    }
}
