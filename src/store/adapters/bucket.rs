//! Buckets behind S3 and Google Cloud Storage: the object store library signs, lists and finds credentials.
//!
//! The library sends through our own client and is told never to repeat a request: what an answer means, and whether it is
//! worth asking again, is decided in one place for all stores. Only what every such server has is used: no conditions,
//! which some accept and ignore, and no deleting in bulk, which some lack.

mod connect;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::client::{HttpError, HttpRequest, HttpRequestBody, HttpService};
use object_store::gcp::GoogleCloudStorage;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::http::Http;
use crate::store::failure::{Failure, Meaning};
use crate::store::import_source::{ODD_NAME, Page, Walk, start};
use crate::store::{BucketAnswer, Findings, ListedObject, Setting, Store, joined, listed};
use wire::Wire;

/// More pages than this in one listing: the server starts over and over.
const MAX_PAGES: usize = 100_000;

/// Signer of requests that the library has no call for.
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
    /// Another address at which a public bucket is open: Supabase's S3 endpoint never is, its neighbour is.
    beside: Option<reqwest::Url>,
}

impl Bucket {
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

/// Failures that the library tells of are ours, further down; the others are a matter of its own.
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

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
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
        let mut is_public = self.http.is_public(url).await? || self.http.is_public(listing).await?;
        if let Some(mut open) = self.beside.clone() {
            open.path_segments_mut().map_err(|()| unusable())?.extend(joined(&self.prefix, name).split('/'));
            is_public = is_public || self.http.is_public(open).await?;
        }
        let skew_ms = self.http.skew_ms();
        Ok(Findings { is_public: Some(is_public), skew_ms, ..Findings::default() })
    }

    fn skew_ms(&self) -> Option<i64> {
        self.http.skew_ms()
    }

    async fn setting(&self, which: Setting) -> Result<BucketAnswer, Failure> {
        let which = match which {
            Setting::Lifecycle => "lifecycle",
            Setting::Versioning => "versioning",
            // Neither S3 nor Google has a question for it.
            Setting::Largest => return Ok(BucketAnswer::Silence),
        };
        match self.ask(which).await {
            Ok(document) => Ok(BucketAnswer::Document(document)),
            Err(failure) if failure.meaning == Meaning::Absent => Ok(BucketAnswer::Nothing),
            // Not every server knows what it is asked.
            Err(failure) if failure.meaning == Meaning::Impossible => Ok(BucketAnswer::Silence),
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
