//! Listings of Supabase Storage: that of newer servers, and that of older ones, which lack it.
//!
//! Invariant: a name that is there all the time is listed, once, whatever comes and goes meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::ETAG;
use serde::Deserialize;
use serde_json::json;

use super::offsets::{Offsets, PageStep};
use super::{PAGE, Supabase};
use crate::store::failure::{Failure, Meaning};
use crate::store::import_source::{self, Walk, start};
use crate::store::{ListedObject, Operation, joined};

impl Supabase {
    /// The objects of a folder that begin with `prefix`, by whichever listing the server has.
    pub(super) async fn list_either_way(
        &self,
        folder: &str,
        prefix: &str,
    ) -> Result<Vec<ListedObject>, Failure> {
        let folder = joined(&self.prefix, folder);
        if !self.old_listing.load(Ordering::Relaxed) {
            let within = format!("{folder}/");
            match self.list_by_cursor(&format!("{within}{prefix}")).await {
                Ok(entries) => {
                    let own = entries.into_iter().filter_map(|entry| {
                        let name = entry.name.strip_prefix(&within).filter(|name| !name.contains('/'))?;
                        Some(entry.listed(name))
                    });
                    return Ok(own.collect());
                }
                // A server that lacks this listing says so in several ways: one takes the route for a bucket it does not have.
                Err(failure) if matches!(failure.meaning, Meaning::NotConfigured | Meaning::Impossible) => {}
                Err(failure) => return Err(failure),
            }
        }
        let entries = self.list_by_offset(&folder).await?;
        self.old_listing.store(true, Ordering::Relaxed);
        let own = entries.iter().filter(|entry| entry.id.is_some() && entry.name.starts_with(prefix));
        Ok(own.map(|entry| entry.listed(&entry.name)).collect())
    }

    /// The listing of newer servers: by cursor, so that names which come and go move nothing.
    async fn list_by_cursor(&self, start: &str) -> Result<Vec<ListedEntry>, Failure> {
        let mut entries = BTreeMap::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.page_by_cursor(start, cursor.as_deref()).await?;
            entries.extend(page.objects.into_iter().map(|entry| (entry.name.clone(), entry)));
            match page.next_cursor.filter(|_| page.has_next) {
                None => return Ok(entries.into_values().collect()),
                next if next == cursor => {
                    return Err(Failure::new(Meaning::Transient, "the listing does not come to an end"));
                }
                next => cursor = next,
            }
        }
    }

    async fn page_by_cursor(&self, start: &str, cursor: Option<&str>) -> Result<ListingPage, Failure> {
        let body = match cursor {
            None => json!({ "prefix": start, "limit": PAGE, "with_delimiter": false }),
            Some(cursor) => {
                json!({ "prefix": start, "limit": PAGE, "with_delimiter": false, "cursor": cursor })
            }
        };
        self.post(&["object", "list-v2"], &body).await
    }

    /// The listing of older servers: one folder, by offset.
    async fn list_by_offset(&self, folder: &str) -> Result<Vec<ListedEntry>, Failure> {
        let (mut offsets, mut next) = (Offsets::new(PAGE), PageStep::Page(0));
        while let PageStep::Page(offset) = next {
            let body = json!({
                "prefix": folder,
                "limit": PAGE,
                "offset": offset,
                "sortBy": { "column": "name", "order": "asc" },
            });
            let page: Vec<ListedEntry> = self.post(&["object", "list"], &body).await?;
            // A folder may be called like an object beside it.
            let named = page.into_iter().map(|entry| ((entry.name.clone(), entry.id.is_some()), entry));
            next = offsets.take(named.collect());
        }
        if next == PageStep::Runaway {
            return Err(Failure::new(Meaning::Transient, "the listing changes faster than it can be read"));
        }
        Ok(offsets.into_names().collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListingPage {
    #[serde(default)]
    has_next: bool,
    next_cursor: Option<String>,
    objects: Vec<ListedEntry>,
}

#[derive(Deserialize)]
struct ListedEntry {
    name: String,
    /// A folder has none.
    id: Option<String>,
    /// Time at which it was stored last, as RFC 3339 has it.
    updated_at: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    size: Option<u64>,
    e_tag: Option<String>,
}

impl ListedEntry {
    fn listed(&self, name: &str) -> ListedObject {
        let stored = self.updated_at.as_deref().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
        ListedObject {
            name: name.to_owned(),
            bytes: self.metadata.as_ref().and_then(|metadata| metadata.size),
            modified_ms: stored.and_then(|at| u64::try_from(at.timestamp_millis()).ok()),
        }
    }

    /// The mark of its contents.
    fn tag(&self) -> Option<String> {
        self.metadata.as_ref()?.e_tag.as_deref().map(bare)
    }
}

/// A mark without its quotes, which it has in some places and not in others.
fn bare(tag: &str) -> String {
    tag.trim_start_matches("W/").trim_matches('"').to_owned()
}

#[async_trait]
impl Walk for Supabase {
    async fn page(&self, folder: &str, cursor: Option<&str>) -> Result<import_source::Page, Failure> {
        let own = start(&self.prefix, "");
        let within = start(&self.prefix, folder);
        if !self.old_listing.load(Ordering::Relaxed) {
            match self.page_by_cursor(&within, cursor).await {
                Ok(page) => {
                    let next = page.next_cursor.filter(|_| page.has_next);
                    let mut found = import_source::Page { next, ..import_source::Page::default() };
                    for entry in page.objects {
                        let Some(name) = entry.name.strip_prefix(&own) else { continue };
                        found.tags.extend(entry.tag().map(|tag| (name.to_owned(), tag)));
                        found.names.push(name.to_owned());
                    }
                    return Ok(found);
                }
                // As in a listing of ours: a server that lacks this one.
                Err(failure)
                    if cursor.is_none()
                        && matches!(failure.meaning, Meaning::NotConfigured | Meaning::Impossible) => {}
                Err(failure) => return Err(failure),
            }
        }
        let entries = self.list_by_offset(within.trim_end_matches('/')).await?;
        self.old_listing.store(true, Ordering::Relaxed);
        let mut page = import_source::Page::default();
        for entry in entries {
            let name = joined(folder, &entry.name);
            page.tags.extend(entry.tag().map(|tag| (name.clone(), tag)));
            let kind = if entry.id.is_some() { &mut page.names } else { &mut page.folders };
            kind.push(name);
        }
        Ok(page)
    }

    async fn content(&self, name: &str) -> Result<Option<import_source::Content>, Failure> {
        let url = self.url(&["object", "authenticated"], name)?;
        match self.send(Method::GET, url, None, Operation::Get).await {
            Ok(reply) => {
                let tag = reply.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(bare);
                Ok(Some((reply.body, tag)))
            }
            Err(failure) if failure.meaning == Meaning::Absent => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
