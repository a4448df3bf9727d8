//! Sources of imports: listing all of a foreign bucket, however deep, and reading and removing objects that others named.
//!
//! For migrations. Nothing is stored and nothing is probed: a bucket that is only read stays as it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Failure, Meaning, PLACES, RetryingStore, Store, StoreSpec};
use crate::error::{Code, Error, Result};
use crate::platform::host::Host;

/// No object is called so; whoever asks for it learns whether there is a bucket.
const NOWHERE: &str = "nowhere";

/// Error of a name that cannot be asked for.
pub const ODD_NAME: &str = "the source has an object with an empty part, `.` or `..` in its name; rename or remove it, or choose a folder without it by the prefix";

/// One page of a listing. Names are relative to the prefix of the store.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects.
    pub names: Vec<String>,
    /// Folders that have to be listed by themselves, where the store does not look into them.
    pub folders: Vec<String>,
    /// Start of the next page.
    pub next: Option<String>,
    /// Marks of the contents of objects, where reads may give an older copy than the one that is listed.
    pub tags: Vec<(String, String)>,
}

/// An object, and the mark of its contents where one is told.
pub type Content = (Bytes, Option<String>);

/// Requests to an adapter beside the five operations.
#[async_trait]
pub trait Walk: Store {
    /// One page of what lies below `folder`, from `cursor` on.
    async fn page(&self, folder: &str, cursor: Option<&str>) -> Result<Page, Failure>;
    /// An object, or `None` if there is none.
    async fn content(&self, name: &str) -> Result<Option<Content>, Failure> {
        Ok(self.get(name).await?.map(|bytes| (bytes, None)))
    }
}

/// A bucket with names of others.
pub struct ImportSource {
    remote: RetryingStore,
    walk: Arc<dyn Walk>,
    /// Details of each object by the last listing.
    tags: Mutex<HashMap<String, String>>,
}

impl ImportSource {
    /// A bucket behind `adapter`, which `spec` names.
    pub(super) fn over(adapter: impl Walk + 'static, spec: &StoreSpec, host: Arc<dyn Host>) -> ImportSource {
        let walk: Arc<dyn Walk> = Arc::new(adapter);
        let places = spec.http().map_or(PLACES, |http| http.max_concurrent_requests);
        let store: Arc<dyn Store> = walk.clone();
        ImportSource {
            remote: RetryingStore::unknown(store, host, places, true),
            walk,
            tags: Mutex::default(),
        }
    }

    /// The names of all objects below `folder`, which may be empty, in order and with the folder.
    pub async fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let mut cursor: Option<String> = None;
            loop {
                let page = || self.remote.once("", self.walk.page(&folder, cursor.as_deref()));
                let page = self.remote.with_retries("listing the source", page).await?;
                names.extend(page.names);
                folders.extend(page.folders);
                self.tags.lock().unwrap_or_else(PoisonError::into_inner).extend(page.tags);
                match page.next {
                    None => break,
                    next if next == cursor => {
                        let endless = Failure::new(Meaning::Transient, "the listing does not come to an end");
                        return Err(endless.error("listing the source"));
                    }
                    next => cursor = next,
                }
            }
        }
        if names.is_empty() {
            // Some stores list a bucket that is gone as one that is empty.
            self.remote.get(NOWHERE).await?;
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The bytes of an object as it was listed last, or `None` if it is gone.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        let name = possible(name)?;
        let listed = self.tags.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let read = || self.remote.once("", self.listed_content(name, listed.as_deref()));
        self.remote.with_retries("reading the source", read).await
    }

    /// Objects of others are written again under their names, and a copy in a cache may be an older one.
    async fn listed_content(&self, name: &str, listed: Option<&str>) -> Result<Option<Bytes>, Failure> {
        let Some((bytes, tag)) = self.walk.content(name).await? else { return Ok(None) };
        match (listed, tag) {
            (Some(listed), Some(tag)) if listed != tag => {
                Err(Failure::new(Meaning::Transient, "the object differs from the listed one").advise(
                    "the source was written just now; stop the old system, and try again in a minute",
                ))
            }
            _ => Ok(Some(bytes)),
        }
    }

    /// Removes objects. One that is not there is no failure.
    pub async fn remove(&self, names: Vec<String>) -> Result<()> {
        names.iter().try_for_each(|name| possible(name).map(|_| ()))?;
        self.remote.delete(names).await
    }
}

/// Refuses a name that would become another one on its way: an address takes `.` and `..` for steps.
fn possible(name: &str) -> Result<&str> {
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::new(Code::RemoteRefused, ODD_NAME));
    }
    Ok(name)
}

/// The folder `folder` within `prefix`, both of which may be empty, as every name in it begins.
pub fn start(prefix: &str, folder: &str) -> String {
    [prefix, folder].iter().filter(|part| !part.is_empty()).map(|part| format!("{part}/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimHost;

    /// Folder -> its pages; every object holds its own name, under the mark that the second field gives to all reads.
    struct Pages(Vec<(&'static str, Vec<Page>)>, Option<&'static str>);

    #[async_trait]
    impl Store for Pages {
        async fn put(&self, _: &str, _: Bytes) -> Result<(), Failure> {
            panic!("a source is not written")
        }
        async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
            if name == NOWHERE && self.0.is_empty() {
                return Err(Failure::new(Meaning::NotConfigured, "no bucket"));
            }
            Ok(Some(Bytes::copy_from_slice(name.as_bytes())))
        }
        async fn list(&self, _: &str, _: &str) -> Result<Vec<String>, Failure> {
            panic!("that lists one folder")
        }
        async fn delete(&self, _: Vec<String>) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[async_trait]
    impl Walk for Pages {
        async fn page(&self, folder: &str, cursor: Option<&str>) -> Result<Page, Failure> {
            let Some((_, pages)) = self.0.iter().find(|(name, _)| *name == folder) else {
                return Ok(Page::default());
            };
            let page = &pages[cursor.map_or(0, |cursor| cursor.parse().unwrap())];
            let Page { names, folders, next, tags } = page;
            Ok(Page {
                names: names.clone(),
                folders: folders.clone(),
                next: next.clone(),
                tags: tags.clone(),
            })
        }
        async fn content(&self, name: &str) -> Result<Option<Content>, Failure> {
            Ok(self.get(name).await?.map(|bytes| (bytes, self.1.map(str::to_owned))))
        }
    }

    fn page(names: &[&str], folders: &[&str], next: Option<&str>) -> Page {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let tags = names.iter().map(|&name| (name.to_owned(), "listed".to_owned())).collect();
        Page { names: owned(names), folders: owned(folders), next: next.map(str::to_owned), tags }
    }

    fn foreign(pages: Vec<(&'static str, Vec<Page>)>, tag: Option<&'static str>) -> ImportSource {
        let spec = StoreSpec::Memory { name: "x".to_owned() };
        ImportSource::over(Pages(pages, tag), &spec, SimHost::new(1, tokio::time::Instant::now()))
    }

    #[tokio::test(start_paused = true)]
    async fn every_page_of_every_folder_is_listed_once() {
        let pages = vec![
            ("", vec![page(&["b"], &["f"], Some("1")), page(&["a", "b"], &["g"], None)]),
            ("f", vec![page(&["f/1"], &["f/h"], None)]),
            ("f/h", vec![page(&[], &[], Some("1")), page(&["f/h/2"], &[], None)]),
        ];
        let foreign = foreign(pages, None);
        assert_eq!(foreign.names("").await, Ok(["a", "b", "f/1", "f/h/2"].map(str::to_owned).to_vec()));
        assert_eq!(foreign.names("f").await, Ok(["f/1", "f/h/2"].map(str::to_owned).to_vec()));
        assert_eq!(foreign.names("g").await, Ok(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_without_an_end_and_a_bucket_that_is_gone_are_failures() {
        let endless = foreign(vec![("", vec![page(&["a"], &[], Some("0"))])], None);
        assert_eq!(endless.names("").await.map_err(|error| error.code()), Err(Code::RemoteUnavailable));
        let gone = foreign(Vec::new(), None);
        assert_eq!(gone.names("").await.map_err(|error| error.code()), Err(Code::RemoteRefused));
    }

    #[tokio::test(start_paused = true)]
    async fn another_copy_than_the_one_listed_is_never_answered() {
        let pages = || vec![("", vec![page(&["a"], &[], None)])];
        let read = async |tag| {
            let foreign = foreign(pages(), tag);
            foreign.names("").await.expect("a listing");
            foreign.read("a").await.map(|bytes| bytes.is_some()).map_err(|error| error.code())
        };
        assert_eq!(read(Some("listed")).await, Ok(true));
        assert_eq!(read(None).await, Ok(true), "a store that tells no marks");
        assert_eq!(read(Some("older")).await, Err(Code::RemoteUnavailable));
    }

    #[test]
    fn a_folder_begins_where_its_names_do() {
        let all = [("", "", ""), ("p", "", "p/"), ("", "f", "f/"), ("p/q", "f/g", "p/q/f/g/")];
        for (prefix, folder, expected) in all {
            assert_eq!(start(prefix, folder), expected);
        }
    }

    #[test]
    fn names_that_an_address_would_change_are_refused_and_odd_ones_are_not() {
        for name in ["", "a//b", "/a", "a/", ".", "a/../b", "./a"] {
            assert_eq!(possible(name).map_err(|error| error.code()), Err(Code::RemoteRefused), "{name}");
        }
        for name in ["a", "u/+49 151/creds.json", "\u{e4}/..a/b..", "a%2Fb#?"] {
            assert_eq!(possible(name).map_err(|error| error.code()), Ok(name));
        }
    }
}
