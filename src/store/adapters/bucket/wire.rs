//! The wire under the object store library: it signs, and our own client sends.
//!
//! What an answer means is judged here, once, as for all other stores; the library is shown a success or our failure, and
//! nothing that it could take for a listing which is none.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};

use crate::store::Operation;
use crate::store::adapters::http::Http;
use crate::store::failure::{Failure, Meaning, Refusal, judge};

/// Start of every listing, whatever stands before it.
const LISTING: &[u8] = b"<ListBucketResult";

/// Sends what the library signed.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    http: Arc<Http>,
    /// The host of the store; others are asked for credentials.
    store: Option<(String, Option<u16>)>,
    /// The region that requests are signed for, where that matters.
    region: Option<String>,
}

impl Wire {
    /// The wire to the store at `address`.
    pub(super) fn to(address: &str, http: Arc<Http>, region: Option<&str>) -> Wire {
        Wire { http, store: authority(address), region: region.map(str::to_owned) }
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let given_up = |failure| HttpError::new(HttpErrorKind::Unknown, failure);
        let is_store = authority(&request.uri().to_string()) == self.store;
        let is_list = request.uri().query().is_some_and(|query| query.contains("list-type="));
        let asked = match request.method().as_str() {
            "PUT" => Operation::Put,
            "DELETE" => Operation::Delete,
            _ if is_list => Operation::List,
            _ => Operation::Get,
        };
        let len = request.body().content_length() as u64;
        let request = request.map(reqwest::Body::wrap).try_into();
        let request = request.map_err(|_| given_up(Failure::new(Meaning::NotConfigured, "not a URL")))?;
        let reply = self.http.send(request, len, asked).await.map_err(given_up)?;
        if !(200..300).contains(&reply.status) {
            let code = std::str::from_utf8(&reply.body).ok().and_then(code_of);
            let refusal = Refusal { status: reply.status, code, retry_after: reply.retry_after() };
            let failure = explained(&refusal, asked, is_store, self.region.as_deref());
            return Err(given_up(self.http.explain(failure)));
        }
        // The library takes any document for a listing, and one that says nothing for an empty one.
        if asked == Operation::List && !reply.body.windows(LISTING.len()).any(|at| at == LISTING) {
            return Err(given_up(Failure::new(Meaning::Transient, "an answer that is no listing")));
        }
        let mut response = HttpResponse::new(HttpResponseBody::from(reply.body));
        *response.status_mut() = reqwest::StatusCode::from_u16(reply.status).unwrap_or_default();
        *response.headers_mut() = reply.headers;
        Ok(response)
    }
}

/// The host and port of an address, however it is written.
fn authority(address: &str) -> Option<(String, Option<u16>)> {
    let url = reqwest::Url::parse(address).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}

/// Judges a refusal, in words for its reason: of the store, or of the service that gives out credentials for it. Without a `region` it is
/// Google's.
fn explained(refusal: &Refusal<'_>, asked: Operation, is_store: bool, region: Option<&str>) -> Failure {
    let (failure, code) = (judge(refusal, asked), refusal.code);
    if !is_store {
        let meaning = if failure.may_pass() { Meaning::Transient } else { Meaning::Denied };
        let failure = Failure { meaning, ..failure };
        return failure.advise(match code {
            Some("invalid_grant" | "invalid_client" | "unauthorized_client") => NO_SUCH_ACCOUNT,
            _ => "no credentials were available; check the identity of this machine",
        });
    }
    match region {
        Some(region) => of_region(failure, code, region),
        None => of_google(failure, refusal, asked),
    }
}

const NO_SUCH_ACCOUNT: &str = "Google does not know this key of a service account: it was deleted or disabled, or its file is not whole; make a new key, and check the clock of this machine";

/// Explains Google's refusals: 401 concerns the key itself, 403 the rights that it lacks.
fn of_google(failure: Failure, refusal: &Refusal<'_>, asked: Operation) -> Failure {
    match (refusal.status, refusal.code) {
        (401, _) => failure.advise(NO_SUCH_ACCOUNT),
        (403, Some("AccessDenied")) => failure.advise(format!(
            "the service account has no right to do this; give it `storage.objects.{}` on the bucket",
            match asked {
                Operation::Put => "create` and, to store again, `storage.objects.delete",
                Operation::Get => "get",
                Operation::List => "list",
                Operation::Delete => "delete",
            }
        )),
        _ => failure,
    }
}

/// Words of a refusal of which a wrong region may be the reason: a request is signed for one.
fn of_region(failure: Failure, code: Option<&str>, region: &str) -> Failure {
    match code {
        Some("AccessDenied") => failure.advise(
            "the store knows the key, and it has no right to do this; check its policy and that of the bucket",
        ),
        Some("SignatureDoesNotMatch") => failure.advise(format!(
            "the signature does not match: the secret access key is wrong, or the region is not `{region}`, for which the request was signed"
        )),
        Some(
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "TemporaryRedirect"
            | "IllegalLocationConstraintException",
        ) => failure.advise(format!(
            "the bucket is not in the region `{region}`; set the store's `region`, and its `endpoint` if there is one, to those of the bucket"
        )),
        _ => failure,
    }
}

/// The code in an error document, of S3's kind or OAuth's.
fn code_of(body: &str) -> Option<&str> {
    let (_, rest) = body
        .split_once("<Code>")
        .or_else(|| body.split_once("\"error\":\""))
        .or_else(|| body.split_once("\"error\": \""))?;
    rest.split(['<', '"']).next()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::error::Code;

    #[test]
    fn hosts_are_the_same_however_they_are_written() {
        assert_eq!(authority("https://S3.example:443/b"), authority("https://s3.example/c?d"));
        assert_ne!(authority("https://s3.example"), authority("https://s3.example:9000"));
        assert_ne!(authority("https://s3.example"), authority("https://sts.example"));
    }

    #[test]
    fn every_reason_of_a_refusal_has_words_of_its_own() {
        let told = |status, code, is_store, region| {
            let refusal = Refusal { status, code: Some(code), retry_after: None };
            explained(&refusal, Operation::Put, is_store, region).error("storing")
        };
        let (s3, google) = (Some("eu-north-9"), None);
        let cases = [
            (403, "InvalidAccessKeyId", true, s3, "does not know this access key id"),
            (403, "SignatureDoesNotMatch", true, s3, "is not `eu-north-9`"),
            (400, "ExpiredToken", true, s3, "have expired"),
            (400, "InvalidToken", true, s3, "the session token"),
            (400, "AuthorizationHeaderMalformed", true, s3, "not in the region `eu-north-9`"),
            (301, "PermanentRedirect", true, s3, "not in the region `eu-north-9`"),
            (404, "NoSuchBucket", true, s3, "there is no such bucket"),
            (403, "RequestTimeTooSkewed", true, s3, "the clock of this machine"),
            (403, "AccessDenied", true, s3, "knows the key, and it has no right"),
            (403, "AccountProblem", true, s3, "its bill is not paid"),
            (401, "AuthenticationRequired", true, google, "does not know this key of a service account"),
            (400, "invalid_grant", false, google, "does not know this key of a service account"),
            (400, "invalid_scope", false, google, "the identity of this machine"),
            (403, "AccessDenied", true, google, "`storage.objects.create` and"),
            (404, "NoSuchBucket", true, google, "there is no such bucket"),
            (403, "UserProjectAccountProblem", true, google, "its bill is not paid"),
        ];
        for (status, code, is_store, region, words) in cases {
            let error = told(status, code, is_store, region);
            assert_eq!(error.code(), Code::RemoteRefused, "{code}");
            assert!(error.message.contains(words), "{code}: {}", error.message);
        }
        let distinct: HashSet<String> = cases
            .iter()
            .take(10)
            .map(|&(status, code, is_store, region, _)| told(status, code, is_store, region).message)
            .collect();
        assert_eq!(distinct.len(), 10, "{distinct:?}");
    }

    #[test]
    fn the_code_of_an_error_is_found_whatever_stands_around_it() {
        for body in [
            "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>m</Message></Error>",
            "<Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Key>k</Key><Code>NoSuchKey</Code></Error>",
            "{\"error\":\"NoSuchKey\",\"error_description\":\"d\"}",
            "{ \"error\": \"NoSuchKey\" }",
        ] {
            assert_eq!(code_of(body), Some("NoSuchKey"), "{body}");
        }
        for body in ["", "<html>502 Bad Gateway</html>", "<code>NoSuchKey</code>"] {
            assert_eq!(code_of(body), None, "{body}");
        }
    }
}
