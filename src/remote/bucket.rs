//! Buckets behind S3 and Google Cloud Storage: the object store library signs, lists and finds credentials.
//!
//! The library sends through our own client and is told never to repeat a request: what an answer means, and whether it is
//! worth asking again, is decided in one place for all stores. Only what every such server has is used: no conditions,
//! which some accept and ignore, and no deleting in bulk, which some lack.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig, StaticCredentialProvider};

use super::answer::{Failure, Meaning, Refusal, judge};
use super::foreign::{ODD_NAME, Page, Walk, start};
use super::http::Http;
use super::spec::{GcsSpec, S3Spec};
use super::{Asked, Findings, Listed, Setting, Store, Told, joined, listed};
use crate::error::{Code, Error, Result};
use crate::host::Host;

/// How every listing begins, whatever stands before it.
const LISTING: &[u8] = b"<ListBucketResult";
/// More pages than this in one listing: the server starts over and over.
const MAX_PAGES: usize = 100_000;

/// Who signs what the library has no call for.
enum Signer {
    S3 { store: Arc<AmazonS3>, region: String },
    Gcs { store: Arc<GoogleCloudStorage>, anonymous: bool },
}

/// A bucket, by what the library can do with it.
pub struct Bucket {
    signer: Signer,
    wire: Wire,
    objects: Arc<dyn ObjectStore>,
    pages: Arc<dyn PaginatedListStore>,
    http: Arc<Http>,
    prefix: String,
    /// The address of the bucket, for those without credentials.
    public: String,
}

impl Bucket {
    /// A bucket behind the S3 protocol.
    pub fn s3(spec: &S3Spec, host: Arc<dyn Host>) -> Result<Bucket> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&spec.bucket)
            .with_region(&spec.region)
            .with_virtual_hosted_style_request(spec.virtual_hosted)
            .with_disable_bulk_delete(true)
            .with_allow_http(true)
            .with_retry(once());
        let near = |endpoint: &str| host_of(endpoint, &spec.bucket, spec.virtual_hosted);
        let public = match &spec.endpoint {
            Some(endpoint) => near(endpoint),
            None => near(&format!("https://s3.{}.amazonaws.com", spec.region)),
        }?;
        if spec.endpoint.is_some() {
            // The library wants the bucket in the endpoint where it is part of the host name, and adds it where it is not.
            let endpoint =
                if spec.virtual_hosted { public.clone() } else { spec.endpoint.clone().unwrap_or_default() };
            builder = builder.with_endpoint(endpoint);
        }
        let keys = (&spec.access_key_id, &spec.secret_access_key);
        if let (Some(id), Some(secret)) = keys {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            if let Some(token) = &spec.session_token {
                builder = builder.with_token(token);
            }
        } else if spec.environment.is_empty() && !spec.instance_metadata {
            return Err(Error::new(
                Code::InvalidOption,
                "the store needs credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass `instanceMetadata: true` to ask the instance",
            ));
        }
        for (name, value) in &spec.environment {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().map_err(|_| unusable(name))?;
            builder = builder.with_config(key, value);
        }
        let http = Arc::new(Http::new(&spec.http, host)?);
        let wire = Wire { http: Arc::clone(&http), store: authority(&public) };
        let store =
            builder.with_http_connector(wire.clone()).build().map_err(|_| unusable("the S3 store"))?;
        let store = Arc::new(store);
        Ok(Bucket {
            signer: Signer::S3 { store: Arc::clone(&store), region: spec.region.clone() },
            wire,
            objects: Arc::clone(&store) as _,
            pages: store,
            http,
            prefix: spec.prefix.clone(),
            public,
        })
    }

    /// A bucket of Google Cloud Storage.
    pub fn gcs(spec: &GcsSpec, host: Arc<dyn Host>) -> Result<Bucket> {
        let endpoint = spec.endpoint.as_deref().unwrap_or("https://storage.googleapis.com");
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&spec.bucket)
            .with_base_url(endpoint.trim_end_matches('/'))
            .with_skip_signature(spec.anonymous)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(once());
        builder = match (&spec.credentials, &spec.credentials_file) {
            (Some(json), _) => builder.with_service_account_key(json),
            (None, Some(file)) => builder.with_application_credentials(file),
            // Some requests are signed whatever is said: with nothing, then.
            (None, None) if spec.anonymous => {
                builder.with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                    bearer: String::new(),
                })))
            }
            (None, None) if spec.instance_metadata => builder,
            (None, None) => {
                return Err(Error::new(
                    Code::InvalidOption,
                    "the store needs credentials; set GOOGLE_APPLICATION_CREDENTIALS, or pass `instanceMetadata: true` to ask the instance",
                ));
            }
        };
        let public = host_of(endpoint, &spec.bucket, false)?;
        let http = Arc::new(Http::new(&spec.http, host)?);
        let wire = Wire { http: Arc::clone(&http), store: authority(&public) };
        let store = builder.with_http_connector(wire.clone()).build();
        let store =
            Arc::new(store.map_err(|_| unusable("the credentials of the Google Cloud Storage bucket"))?);
        Ok(Bucket {
            signer: Signer::Gcs { store: Arc::clone(&store), anonymous: spec.anonymous },
            wire,
            objects: Arc::clone(&store) as _,
            pages: store,
            http,
            prefix: spec.prefix.clone(),
            public,
        })
    }

    /// The bucket's answer to `?which`, signed as the library signs.
    async fn ask(&self, which: &str) -> Result<Bytes, Failure> {
        let unsigned = || Failure::new(Meaning::NotConfigured, "the request cannot be signed");
        // As servers want it, whose router may tell a bucket by its slash.
        let address = format!("{}/?{which}", self.public);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = address.parse().map_err(|_| unsigned())?;
        match &self.signer {
            Signer::S3 { store, region } => {
                let credential =
                    store.credentials().get_credential().await.map_err(|error| failure(&error))?;
                let signer = AwsAuthorizer::new(&credential, "s3", region);
                signer.try_authorize(&mut request, None).map_err(|_| unsigned())?;
            }
            Signer::Gcs { anonymous: true, .. } => {}
            Signer::Gcs { store, .. } => {
                let credential =
                    store.credentials().get_credential().await.map_err(|error| failure(&error))?;
                let bearer = format!("Bearer {}", credential.bearer).parse().map_err(|_| unsigned())?;
                request.headers_mut().insert(reqwest::header::AUTHORIZATION, bearer);
            }
        }
        let broken = |error: HttpError| {
            let inner = std::error::Error::source(&error).and_then(|inner| inner.downcast_ref::<Failure>());
            inner
                .cloned()
                .unwrap_or_else(|| Failure::new(Meaning::Transient, "the answer was not understood"))
        };
        let response = self.wire.call(request).await.map_err(broken)?;
        response.into_body().bytes().await.map_err(broken)
    }

    fn path(&self, name: &str) -> Result<Path, Failure> {
        let path = Path::parse(joined(&self.prefix, name)).ok();
        path.ok_or_else(|| Failure::new(Meaning::Impossible, "the name is not allowed"))
    }
}

/// The library asks once: patience is ours.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::from_secs(3600), ..RetryConfig::default() }
}

fn unusable(what: &str) -> Error {
    Error::new(Code::InvalidOption, format!("{what} cannot be used as configured; check the `store` option"))
}

/// The address of a bucket.
fn host_of(endpoint: &str, bucket: &str, virtual_hosted: bool) -> Result<String> {
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, rest)) if virtual_hosted && !rest.starts_with(&format!("{bucket}.")) => {
            Ok(format!("{scheme}://{bucket}.{rest}"))
        }
        Some(_) if virtual_hosted => Ok(endpoint.to_owned()),
        Some(_) => Ok(format!("{endpoint}/{bucket}")),
        None => Err(unusable("the store's endpoint")),
    }
}

/// The host and port of an address, however it is written.
fn authority(address: &str) -> Option<(String, Option<u16>)> {
    let url = reqwest::Url::parse(address).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}

/// What the library tells of a failure is ours, further down; what is not is a matter of its own.
fn failure(error: &object_store::Error) -> Failure {
    let mut source = Some(error as &dyn std::error::Error);
    while let Some(inner) = source {
        if let Some(failure) = inner.downcast_ref::<Failure>() {
            return failure.clone();
        }
        source = inner.source();
    }
    match error {
        object_store::Error::NotFound { .. } => Failure::new(Meaning::Absent, "not found"),
        object_store::Error::InvalidPath { .. } => {
            Failure::new(Meaning::Impossible, "the name is not allowed")
        }
        _ => Failure::new(Meaning::Transient, "the answer was not understood"),
    }
}

#[async_trait]
impl Store for Bucket {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        self.objects.put(&self.path(name)?, bytes.into()).await.map(|_| ()).map_err(|error| failure(&error))
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let read = async { self.objects.get(&self.path(name)?).await.map_err(|error| failure(&error)) };
        match read.await {
            Ok(found) => found.bytes().await.map(Some).map_err(|error| failure(&error)),
            Err(failure) if failure.meaning == Meaning::Absent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        Ok(self.details(folder, prefix).await?.into_iter().map(|listed| listed.name).collect())
    }

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let folder = format!("{}/", joined(&self.prefix, folder));
        let start = format!("{folder}{prefix}");
        // A name that several store at once is listed twice by some, and so is one that moves from page to page: counted twice,
        // a base would pass for the two that must be kept (I9).
        let mut names = BTreeMap::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let options =
                PaginatedListOptions { page_token: token.clone(), ..PaginatedListOptions::default() };
            let page = self.pages.list_paginated(Some(&start), options).await;
            let page = page.map_err(|error| failure(&error))?;
            let own = page.result.objects.iter().filter_map(|meta| {
                let name = meta.location.as_ref().strip_prefix(&folder)?;
                // Some servers answer with what lies deeper, or beside.
                (name.starts_with(prefix) && !name.contains('/'))
                    .then(|| (name.to_owned(), listed(name, meta)))
            });
            names.extend(own);
            match page.page_token {
                None => return Ok(names.into_values().collect()),
                next if next == token => break,
                next => token = next,
            }
        }
        Err(Failure::new(Meaning::Transient, "the listing does not come to an end"))
    }

    fn most_removed_at_once(&self) -> usize {
        1
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        for name in names {
            match self.objects.delete(&self.path(&name)?).await.map_err(|error| failure(&error)) {
                Err(failure) if failure.meaning != Meaning::Absent => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    async fn inspect(&self, name: &str) -> Result<Findings, Failure> {
        let unusable = || Failure::new(Meaning::NotConfigured, "the address is not a URL");
        let mut url = reqwest::Url::parse(&self.public).map_err(|_| unusable())?;
        url.path_segments_mut().map_err(|()| unusable())?.extend(joined(&self.prefix, name).split('/'));
        let mut listing = reqwest::Url::parse(&self.public).map_err(|_| unusable())?;
        listing.query_pairs_mut().append_pair("list-type", "2").append_pair("max-keys", "1");
        // Names may be for everybody where contents are not.
        let is_public = self.http.is_public(url).await? || self.http.is_public(listing).await?;
        Ok(Findings { is_public: Some(is_public), skew_ms: self.http.skew_ms() })
    }

    async fn setting(&self, which: Setting) -> Result<Told, Failure> {
        let which = match which {
            Setting::Lifecycle => "lifecycle",
            Setting::Versioning => "versioning",
        };
        match self.ask(which).await {
            Ok(document) => Ok(Told::Document(document)),
            Err(failure) if failure.meaning == Meaning::Absent => Ok(Told::Nothing),
            // Not every server knows what it is asked.
            Err(failure) if failure.meaning == Meaning::Impossible => Ok(Told::Silence),
            Err(failure) => Err(failure),
        }
    }
}

#[async_trait]
impl Walk for Bucket {
    async fn page(&self, folder: &str, cursor: Option<&str>) -> Result<Page, Failure> {
        let own = start(&self.prefix, "");
        let within = start(&self.prefix, folder);
        let options =
            PaginatedListOptions { page_token: cursor.map(str::to_owned), ..PaginatedListOptions::default() };
        let start = Some(within.as_str()).filter(|start| !start.is_empty());
        let page = self.pages.list_paginated(start, options).await.map_err(|error| failure(&error));
        let page = page.map_err(|failure| match failure.meaning {
            Meaning::Impossible => failure.advise(ODD_NAME),
            _ => failure,
        })?;
        let names = page.result.objects.iter().filter_map(|meta| meta.location.as_ref().strip_prefix(&own));
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Ok(Page { names, next: page.page_token, ..Page::default() })
    }
}

/// Sends what the library signed.
#[derive(Debug, Clone)]
struct Wire {
    http: Arc<Http>,
    /// The host of the store; others are asked for credentials.
    store: Option<(String, Option<u16>)>,
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
            if !is_store {
                let passes = failure.may_pass();
                failure.meaning = if passes { Meaning::Transient } else { Meaning::Denied };
                failure = failure
                    .advise("no credentials were to be had; check the identity this machine runs under");
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
    fn a_bucket_is_part_of_the_path_or_of_the_host_name() {
        let at = |endpoint, virtual_hosted| host_of(endpoint, "b.c", virtual_hosted).expect("an address");
        assert_eq!(at("https://s3.example:9000/", false), "https://s3.example:9000/b.c");
        assert_eq!(at("https://s3.example:9000/", true), "https://b.c.s3.example:9000");
        assert_eq!(at("https://b.c.s3.example", true), "https://b.c.s3.example", "it is there already");
        assert_eq!(authority("https://S3.example:443/b"), authority("https://s3.example/c?d"));
        assert_ne!(authority("https://s3.example"), authority("https://s3.example:9000"));
        assert_ne!(authority("https://s3.example"), authority("https://sts.example"));
        assert_eq!(host_of("s3.example", "b", false).map_err(|error| error.code), Err(Code::InvalidOption));
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
