//! Supabase Storage, over its own REST API.
//!
//! Nothing but unique names and listings is relied on: its creates are not atomic, it ignores conditions, and an answer's
//! status line says 400 for nearly everything, so the body decides. Names that were listed are immutable, so a copy in its
//! CDN is never stale; listings are not cached.

mod limit;
mod listing;
mod offsets;
mod refusal;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method, Request, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Http, Reply};
use crate::error::{Code, Error, Result};
use crate::platform::host::Host;
use crate::store::failure::{Failure, Meaning};
use crate::store::spec::SupabaseSpec;
use crate::store::{BucketAnswer, Findings, ListedObject, Operation, Setting, Store, joined};
use refusal::refused;

/// Names in one page of a listing, and in one request to remove objects.
const PAGE: usize = 1000;
/// No object of ours is called so.
const NOWHERE: &str = "nowhere";

/// Types of our objects, best first: a bucket may be set to take some types only, and does not look inside.
const TYPES: [&str; 4] = ["application/octet-stream", "application/json", "text/plain", "image/png"];

const APIKEY: HeaderName = HeaderName::from_static("apikey");
const UPSERT: HeaderName = HeaderName::from_static("x-upsert");

/// A bucket of Supabase Storage.
pub struct Supabase {
    http: Arc<Http>,
    base: Url,
    bucket: String,
    prefix: String,
    credentials: HeaderMap,
    /// The one of [`TYPES`] that the bucket takes.
    content_type: AtomicUsize,
    /// The server is older than the paged listing.
    old_listing: AtomicBool,
}

impl Supabase {
    /// A bucket; nothing is sent yet.
    pub fn new(spec: &SupabaseSpec, host: Arc<dyn Host>) -> Result<Supabase> {
        let unusable = |what: &str| {
            Error::new(Code::InvalidOption, format!("{what} of the Supabase store cannot be used"))
        };
        let base = Url::parse(&format!("{}/storage/v1", spec.url.trim_end_matches('/')));
        let base =
            base.ok().filter(|url| url.has_host() && url.query().is_none() && url.fragment().is_none());
        let base = base.filter(|url| ["http", "https"].contains(&url.scheme()) && url.username().is_empty());
        let base = base.ok_or_else(|| unusable("the URL"))?;
        // A segment of dots would be another route.
        if spec.bucket.is_empty() || [".", ".."].contains(&spec.bucket.as_str()) {
            return Err(unusable("the bucket"));
        }
        let header = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| unusable("the key"))?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        let mut credentials = HeaderMap::new();
        credentials.insert(APIKEY, header(&spec.key)?);
        // New-style keys are not JWTs: the gateway turns them into one, and refuses them here.
        if !spec.key.starts_with("sb_") {
            credentials.insert(AUTHORIZATION, header(&format!("Bearer {}", spec.key))?);
        }
        Ok(Supabase {
            http: Arc::new(Http::new(&spec.http, host)?),
            base,
            bucket: spec.bucket.clone(),
            prefix: spec.prefix.clone(),
            credentials,
            content_type: AtomicUsize::new(0),
            old_listing: AtomicBool::new(false),
        })
    }

    fn url(&self, route: &[&str], name: &str) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        let mut segments = url
            .path_segments_mut()
            .map_err(|()| Failure::new(Meaning::NotConfigured, "the address is not a URL"))?;
        segments.extend(route).push(&self.bucket);
        if !name.is_empty() {
            segments.extend(joined(&self.prefix, name).split('/'));
        }
        drop(segments);
        Ok(url)
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<(&str, Bytes)>,
        asked: Operation,
    ) -> Result<Reply, Failure> {
        let mut request = Request::new(method, url);
        request.headers_mut().extend(self.credentials.clone());
        let len = body.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        if let Some((content_type, bytes)) = body {
            let content_type = HeaderValue::from_str(content_type);
            request.headers_mut().extend(content_type.ok().map(|value| (CONTENT_TYPE, value)));
            *request.body_mut() = Some(Body::from(bytes));
        }
        if asked == Operation::Put {
            request.headers_mut().insert(UPSERT, HeaderValue::from_static("true"));
        }
        let reply = self.http.send(request, len, asked).await?;
        if (200..300).contains(&reply.status) {
            Ok(reply)
        } else {
            Err(self.http.explain(refused(&reply, asked)))
        }
    }

    async fn post<T: for<'de> Deserialize<'de>>(&self, route: &[&str], body: &Value) -> Result<T, Failure> {
        let body = Some(("application/json", Bytes::from(body.to_string())));
        let reply = self.send(Method::POST, self.url(route, "")?, body, Operation::List).await?;
        serde_json::from_slice(&reply.body)
            .map_err(|_| Failure::new(Meaning::Transient, "the answer was not understood"))
    }
}

#[async_trait]
impl Store for Supabase {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let first = self.content_type.load(Ordering::Relaxed);
        let mut refused = None;
        // From the one that was taken last, and once around: what a bucket takes may be changed at any time.
        for at in (first..first + TYPES.len()).map(|at| at % TYPES.len()) {
            let content_type = TYPES.get(at).copied().unwrap_or_default();
            let url = self.url(&["object"], name)?;
            match self.send(Method::POST, url, Some((content_type, bytes.clone())), Operation::Put).await {
                Err(failure) if failure.detail.ends_with("InvalidMimeType") => refused = Some(failure),
                Err(failure) => return Err(failure),
                Ok(_) => {
                    self.content_type.store(at, Ordering::Relaxed);
                    return Ok(());
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let url = self.url(&["object", "authenticated"], name)?;
        match self.send(Method::GET, url, None, Operation::Get).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(failure) if failure.meaning == Meaning::Absent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        Ok(self.details(folder, prefix).await?.into_iter().map(|listed| listed.name).collect())
    }

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let listing = self.list_either_way(folder, prefix).await?;
        if listing.is_empty() {
            // A bucket that is gone lists as one that is empty; a name that cannot be there tells them apart.
            self.get(&format!("{folder}/{NOWHERE}")).await?;
        }
        Ok(listing)
    }

    fn most_removed_at_once(&self) -> usize {
        PAGE
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        let names: Vec<String> = names.iter().map(|name| joined(&self.prefix, name)).collect();
        let body = Some(("application/json", Bytes::from(json!({ "prefixes": names }).to_string())));
        self.send(Method::DELETE, self.url(&["object"], "")?, body, Operation::Delete).await.map(|_| ())
    }

    async fn inspect(&self, name: &str) -> Result<Findings, Failure> {
        let is_public = self.http.is_public(self.url(&["object", "public"], name)?).await?;
        let skew_ms = self.http.skew_ms();
        Ok(Findings { is_public: Some(is_public), skew_ms, ..Findings::default() })
    }

    fn skew_ms(&self) -> Option<i64> {
        self.http.skew_ms()
    }

    async fn setting(&self, which: Setting) -> Result<BucketAnswer, Failure> {
        if which == Setting::Largest { self.largest().await } else { Ok(BucketAnswer::Impossible) }
    }
}
