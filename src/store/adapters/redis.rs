//! Redis or Valkey as the bucket.
//!
//! An object is a string, and its folder a sorted set of names: both change in one script, which nothing interrupts, so a listing
//! in the same script is taken after the object was stored. All keys share a hash tag: one node of a cluster has them all.
//! Nothing is found by SCAN: a listing is exact, and costs what it returns.

mod connection;
mod failure;
mod notices;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Cmd, FromRedisValue, RedisError};
use tokio::sync::broadcast;

use self::connection::{Connection, Dialler};
use self::failure::broken;
use self::notices::Notices;
use super::life::ServerLife;
use super::pool::{ConnectionPool, ConnectionPurpose, Dial};
use crate::error::Result;
use crate::format::name::{notice, written_notice};
use crate::platform::host::Host;
use crate::store::failure::{Failure, Meaning};
use crate::store::spec::RedisSpec;
use crate::store::{
    BucketAnswer, Durability, Findings, Incarnation, ListedObject, Notice, Operation, Rates, Setting, Store,
};

const PUT: &str = include_str!("redis/put.lua");
const LIST: &str = include_str!("redis/list.lua");
const DELETE: &str = include_str!("redis/delete.lua");

/// Time that an answer may keep silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Time that reading an object may take.
const READING: Duration = Duration::from_secs(600);
/// The slowest upload that is waited for, in bytes per second.
const SLOWEST: u64 = 32 << 10;
/// The largest object that is stored whole.
const LARGEST: usize = 64 << 20;
/// Names that one script removes.
const REMOVED: usize = 1000;
/// Names in a page, and with what is told of each object.
const PAGE: usize = 5000;
const DETAILS: usize = 500;
/// Digits of the time in front of an object.
const TIME: usize = 13;
/// Time that replicas may take, in milliseconds.
const REPLICAS_MS: usize = 5000;
/// Connections for requests: one for what is answered at once, and one for reading objects.
const CONNECTIONS: usize = 2;

/// Redis or Valkey.
pub struct Redis {
    pool: Arc<ConnectionPool<Dialler>>,
    /// The start of all keys, with their hash tag.
    tag: String,
    replicas: usize,
    notify: bool,
    notices: OnceLock<Notices>,
}

impl Redis {
    /// The keys that `spec` names. Nothing is sent yet.
    pub fn new(spec: &RedisSpec, host: Arc<dyn Host>) -> Result<Redis> {
        Ok(Redis {
            pool: ConnectionPool::new(Dialler::new(spec, host)?, CONNECTIONS),
            tag: format!("{{{}}}:", spec.prefix),
            replicas: spec.wait_replicas,
            notify: spec.notify,
            notices: OnceLock::new(),
        })
    }

    fn object(&self, name: &str) -> String {
        format!("{}o:{name}", self.tag)
    }

    fn folder(&self, folder: &str) -> String {
        format!("{}f:{folder}", self.tag)
    }

    /// The channel of notices: of all databases of a server, as Redis has it.
    fn channel(&self) -> String {
        format!("{}claims", self.tag)
    }

    /// Answer to a command.
    async fn ask<T: FromRedisValue + Send>(
        &self,
        purpose: ConnectionPurpose,
        asked: Operation,
        within: Duration,
        command: &Cmd,
    ) -> Result<T, Failure> {
        let work = |connection: Arc<Connection>| async move {
            let answer = command.query_async(&mut connection.client()).await;
            answer.map_err(|error: RedisError| {
                self.pool.dialler().follow(&error);
                broken(&error, asked)
            })
        };
        self.pool.ask(purpose, asked, within, work).await
    }

    /// Answer to a script that gives the life of the server before anything else: a proxy may lead to another one unseen.
    async fn run<T: FromRedisValue + Send>(
        &self,
        asked: Operation,
        within: Duration,
        script: &Cmd,
        replicas: usize,
    ) -> Result<T, Failure> {
        let work = |connection: Arc<Connection>| async move {
            let failed = |error: RedisError| {
                self.pool.dialler().follow(&error);
                broken(&error, asked)
            };
            let (mut client, mut behind) = (connection.client(), connection.client());
            let ran = script.query_async::<(String, T)>(&mut client);
            let (answer, copies) = if replicas > 0 {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(REPLICAS_MS);
                let (answer, copies) = futures::join!(ran, wait.query_async::<usize>(&mut behind));
                (answer, copies.map_err(failed)?)
            } else {
                (ran.await, 0)
            };
            let (life, answer) = answer.map_err(failed)?;
            if !life.is_empty() {
                self.pool.answered(&connection, &ServerLife::read(life));
            }
            Ok((answer, copies))
        };
        let (answer, copies) = self.pool.ask(ConnectionPurpose::Short, asked, within, work).await?;
        if copies < replicas {
            return Err(Failure::new(Meaning::Ambiguous, "NOREPLICAS")
                .advise("too few replicas have the write; check them, or lower `waitReplicas`"));
        }
        Ok(answer)
    }

    async fn store(
        &self,
        name: &str,
        bytes: &Bytes,
        listed: Option<(&str, &str)>,
    ) -> Result<Vec<String>, Failure> {
        if bytes.len() > LARGEST {
            return Err(Failure::new(Meaning::TooLarge, "larger than 64 MiB"));
        }
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let (in_folder, prefix) = listed.unwrap_or_default();
        let (channel, told) = match notice(name).filter(|_| self.notify) {
            Some(notice) => (self.channel(), written_notice(notice)),
            None => Default::default(),
        };
        let (first, last) = range(prefix, None);
        let mut script = redis::cmd("EVAL");
        script.arg(PUT).arg(3).arg(self.object(name)).arg(self.folder(folder)).arg(self.folder(in_folder));
        script.arg(bytes.as_ref()).arg(file).arg(channel).arg(told);
        script.arg(if listed.is_some() { "1" } else { "" }).arg(first).arg(last);
        let within = SILENCE + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        self.run(Operation::Put, within, &script, self.replicas).await
    }

    /// A page of a folder, behind `after`.
    async fn page<T: FromRedisValue + Send>(
        &self,
        folder: &str,
        prefix: &str,
        after: Option<&str>,
        with_details: bool,
    ) -> Result<T, Failure> {
        let (first, last) = range(prefix, after);
        let mut script = redis::cmd("EVAL");
        script.arg(LIST).arg(1).arg(self.folder(folder)).arg(first).arg(last);
        script.arg(if with_details { self.object(&format!("{folder}/")) } else { String::new() });
        self.run(Operation::List, SILENCE, &script, 0).await
    }
}

/// The first and the last name that start with `prefix`, as the server wants them; only those behind `after`.
fn range(prefix: &str, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let first = match after {
        Some(after) => [b"(", after.as_bytes()].concat(),
        None => [b"[", prefix.as_bytes()].concat(),
    };
    // No text has this byte.
    let last = if prefix.is_empty() { b"+".to_vec() } else { [b"[", prefix.as_bytes(), &[0xff]].concat() };
    (first, last)
}

#[async_trait]
impl Store for Redis {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        self.store(name, &bytes, None).await.map(|_| ())
    }

    async fn put_then_list(
        &self,
        name: &str,
        bytes: Bytes,
        folder: &str,
        prefix: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let names = self.store(name, &bytes, Some((folder, prefix))).await?;
        Ok((names.len() < PAGE).then_some(names))
    }

    fn incarnation(&self) -> Option<Incarnation> {
        self.pool.life().map(|life| life.incarnation())
    }

    fn durability(&self) -> Option<Durability> {
        if self.replicas > 0 { Some(Durability::Replicated) } else { self.pool.dialler().durability() }
    }

    fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        let listener = || self.notices.get_or_init(|| Notices::of(&self.pool, self.channel()));
        self.notify.then(|| listener().follow())
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let mut get = redis::cmd("GET");
        get.arg(self.object(name));
        let value: Option<Vec<u8>> = self.ask(ConnectionPurpose::Long, Operation::Get, READING, &get).await?;
        // One without its time in front was not stored by us.
        Ok(value.filter(|value| value.len() >= TIME).map(|value| Bytes::from(value).slice(TIME..)))
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let page: Vec<String> =
                self.page(folder, prefix, names.last().map(String::as_str), false).await?;
            let is_last = page.len() < PAGE;
            names.extend(page);
            if is_last {
                return Ok(names);
            }
        }
    }

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let mut found: Vec<ListedObject> = Vec::new();
        loop {
            let after = found.last().map(|last| last.name.clone());
            let page: Vec<(String, u64, String)> = self.page(folder, prefix, after.as_deref(), true).await?;
            let is_last = page.len() < DETAILS;
            found.extend(page.into_iter().map(|(name, bytes, stored)| ListedObject {
                name,
                bytes: bytes.checked_sub(TIME as u64),
                modified_ms: stored.parse().ok(),
            }));
            if is_last {
                return Ok(found);
            }
        }
    }

    fn most_removed_at_once(&self) -> usize {
        REMOVED
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        let mut script = redis::cmd("EVAL");
        script.arg(DELETE).arg(names.len() * 2);
        let places = names.iter().map(|name| name.rsplit_once('/').unwrap_or(("", name)));
        for (name, (folder, _)) in names.iter().zip(places.clone()) {
            script.arg(self.object(name)).arg(self.folder(folder));
        }
        for (_, file) in places {
            script.arg(file);
        }
        self.ask::<()>(ConnectionPurpose::Short, Operation::Delete, SILENCE, &script).await
    }

    async fn inspect(&self, _name: &str) -> Result<Findings, Failure> {
        let (seconds, micros): (i64, i64) =
            self.ask(ConnectionPurpose::Short, Operation::List, SILENCE, &redis::cmd("TIME")).await?;
        let ours = i64::try_from(self.pool.dialler().host().wall_ms()).ok();
        let skew_ms = ours.map(|ours| seconds * 1000 + micros / 1000 - ours);
        Ok(Findings { is_public: None, skew_ms, risks: self.pool.dialler().risks() })
    }

    fn rates(&self) -> Rates {
        Rates { row: 100, request: 512, regular: 512 }
    }

    async fn setting(&self, which: Setting) -> Result<BucketAnswer, Failure> {
        Ok(match which {
            Setting::Lifecycle | Setting::Versioning => BucketAnswer::Impossible,
            Setting::Largest => BucketAnswer::Silence,
        })
    }
}
