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

use crate::remote::Asked;
use crate::remote::answer::{Failure, Meaning, Refusal, judge};
use crate::remote::http::Http;

/// How every listing begins, whatever stands before it.
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
            "PUT" => Asked::Put,
            "DELETE" => Asked::Delete,
            _ if is_list => Asked::List,
            _ => Asked::Get,
        };
        let len = request.body().content_length() as u64;
        let request = request.map(reqwest::Body::wrap).try_into();
        let request = request.map_err(|_| given_up(Failure::new(Meaning::NotConfigured, "not a URL")))?;
        let reply = self.http.send(request, len, asked).await.map_err(given_up)?;
        if !(200..300).contains(&reply.status) {
            let code = std::str::from_utf8(&reply.body).ok().and_then(code_of);
            let refusal = Refusal { status: reply.status, code, retry_after: reply.retry_after() };
            let mut failure = judge(&refusal, asked);
            if let Some(region) = &self.region {
                failure = of_region(failure, code, region);
            }
            if !is_store {
                let passes = failure.may_pass();
                failure.meaning = if passes { Meaning::Transient } else { Meaning::Denied };
                failure = failure.advise("no credentials were available; check the identity of this machine");
            }
            return Err(given_up(self.http.explain(failure)));
        }
        // The library takes any document for a listing, and one that says nothing for an empty one.
        if asked == Asked::List && !reply.body.windows(LISTING.len()).any(|at| at == LISTING) {
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

/// What a refusal says that a wrong region may be the reason of: a request is signed for one.
fn of_region(failure: Failure, code: Option<&str>, region: &str) -> Failure {
    match code {
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
    use super::*;

    #[test]
    fn hosts_are_the_same_however_they_are_written() {
        assert_eq!(authority("https://S3.example:443/b"), authority("https://s3.example/c?d"));
        assert_ne!(authority("https://s3.example"), authority("https://s3.example:9000"));
        assert_ne!(authority("https://s3.example"), authority("https://sts.example"));
    }

    #[test]
    fn a_refusal_that_may_come_of_a_wrong_region_names_it() {
        for code in ["SignatureDoesNotMatch", "AuthorizationHeaderMalformed", "PermanentRedirect"] {
            let refusal = Refusal { status: 403, code: Some(code), retry_after: None };
            let told = of_region(judge(&refusal, Asked::Put), Some(code), "eu-north-9").error("storing");
            assert!(told.message.contains("`eu-north-9`"), "{}", told.message);
        }
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
