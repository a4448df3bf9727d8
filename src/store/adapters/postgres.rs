//! A table in PostgreSQL as the bucket.
//!
//! Each statement commits before it is answered, and each is sent unnamed with the types of its parameters, so that poolers pass it
//! on. Storing and listing are two statements with a Sync of their own, one behind the other on one connection: in one statement
//! the listing would show the table as it was before a put that had to wait for another one.

mod connection;
mod failure;
mod notices;
mod risks;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use self::connection::{Connection, Dialler};
use self::failure::broken;
use self::notices::{CHANNEL, Notices};
use self::risks::{INSPECT, risks};
use super::life::ServerLife;
use super::pool::{ConnectionPool, ConnectionPurpose, Dial};
use crate::error::Result;
use crate::format::name::{CLAIMS, notice, written_notice};
use crate::platform::host::Host;
use crate::store::failure::{Failure, Meaning};
use crate::store::operations::joined;
use crate::store::spec::PostgresSpec;
use crate::store::{
    BucketAnswer, Durability, Findings, Incarnation, ListedObject, Notice, Operation, Rates, Setting, Store,
};

/// The statements that make the table.
const SCHEMA: &str = include_str!("postgres/schema.sql");
/// Time that an answer may keep silent.
const SILENCE: Duration = Duration::from_secs(20);
/// Time that reading an object may take.
const READING: Duration = Duration::from_secs(600);
/// The slowest upload that is waited for, in bytes per second.
const SLOWEST: u64 = 32 << 10;
/// The largest object that is stored whole: the server holds it in memory twice.
const LARGEST: usize = 64 << 20;
/// Names that one statement removes.
const REMOVED: usize = 1000;

/// A table in PostgreSQL.
pub struct Postgres {
    pool: Arc<ConnectionPool<Dialler>>,
    prefix: String,
    table: String,
    schema: String,
    notify: bool,
    notices: OnceLock<Notices>,
}

type Parameters<'a> = [(&'a (dyn ToSql + Sync), Type)];

impl Postgres {
    /// The table that `spec` names. Nothing is sent yet.
    pub fn new(spec: &PostgresSpec, host: Arc<dyn Host>) -> Result<Postgres> {
        let schema = spec.schema.clone();
        let dialler = Dialler::new(spec, SCHEMA.replace("{schema}", &format!("\"{schema}\"")), host)?;
        let table = dialler.table.clone();
        Ok(Postgres {
            pool: ConnectionPool::new(dialler, spec.max_connections),
            prefix: spec.prefix.clone(),
            table,
            schema,
            notify: spec.notify,
            notices: OnceLock::new(),
        })
    }

    fn listener(&self) -> &Notices {
        self.notices.get_or_init(|| Notices::of(&self.pool))
    }

    /// The folder and the name within it of an object.
    fn place<'a>(&self, name: &'a str) -> (String, &'a str) {
        let (folder, name) = name.rsplit_once('/').unwrap_or(("", name));
        (joined(&self.prefix, folder), name)
    }

    /// Rows of a short statement.
    async fn rows(
        &self,
        asked: Operation,
        statement: &str,
        parameters: &Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let work = |connection: Arc<Connection>| async move {
            connection
                .client()
                .query_typed(statement, parameters)
                .await
                .map_err(|error| broken(&error, asked))
        };
        self.pool.ask(ConnectionPurpose::Short, asked, SILENCE, work).await
    }

    /// The statement that stores an object. It gives the life of the server that did so: a pooler may lead to another one unseen.
    fn put_statement(&self, tells: bool) -> String {
        let (table, life) = (&self.table, self.pool.dialler().expression());
        let put = format!(
            "insert into {table} (folder, name, bytes) values ($1, $2, $3) on conflict (folder, name) \
             do update set bytes = excluded.bytes, stored_at = clock_timestamp()"
        );
        if tells {
            format!("with put as ({put} returning 1) select {life}, pg_notify('{CHANNEL}', $4) from put")
        } else {
            format!("{put} returning {life}")
        }
    }

    fn list_statement(&self, columns: &str) -> String {
        format!(
            "select {columns} from {} where folder = $1 and name >= $2 and ($3 = '' or name < $3)",
            self.table
        )
    }

    async fn store(
        &self,
        name: &str,
        bytes: &Bytes,
        listed: Option<(&str, &str)>,
    ) -> Result<Option<Vec<String>>, Failure> {
        if bytes.len() > LARGEST {
            return Err(Failure::new(Meaning::TooLarge, "larger than 64 MiB"));
        }
        let told = notice(name).filter(|_| self.notify).map(written_notice);
        let (folder, name) = self.place(name);
        let statement = self.put_statement(told.is_some());
        let within = SILENCE + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        let (in_folder, prefix) = listed.unwrap_or_default();
        let (in_folder, end) = (joined(&self.prefix, in_folder), beyond(prefix));
        let listing = self.list_statement("name");
        let bytes = bytes.as_ref();
        let work = |connection: Arc<Connection>| async move {
            let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
                vec![(&folder, Type::TEXT), (&name, Type::TEXT), (&bytes, Type::BYTEA)];
            if let Some(told) = &told {
                parameters.push((told, Type::TEXT));
            }
            let put = connection.client().query_typed_one(&statement, &parameters);
            let (stored, names) = if listed.is_some() {
                let range: [(&(dyn ToSql + Sync), Type); 3] =
                    [(&in_folder, Type::TEXT), (&prefix, Type::TEXT), (&end, Type::TEXT)];
                // Both are sent before either is answered, in this order.
                let (stored, names) = futures::join!(put, connection.client().query_typed(&listing, &range));
                (stored, names.ok())
            } else {
                (put.await, None)
            };
            let stored = stored.map_err(|error| broken(&error, Operation::Put))?;
            let is_current = self.pool.answered(&connection, &ServerLife::read(stored.get(0)));
            Ok((is_current, names))
        };
        let (is_current, names) =
            self.pool.ask(ConnectionPurpose::Short, Operation::Put, within, work).await?;
        if !is_current {
            return Err(Failure::new(Meaning::Transient, "a server answered that was replaced"));
        }
        Ok(names.map(|rows| rows.iter().map(|row| row.get(0)).collect()))
    }
}

/// The first text beyond all that start with `prefix`, in the order of bytes; empty: there is none.
fn beyond(prefix: &str) -> String {
    let mut start = prefix.to_owned();
    while let Some(last) = start.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            start.push(next);
            return start;
        }
    }
    start
}

#[async_trait]
impl Store for Postgres {
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
        self.store(name, &bytes, Some((folder, prefix))).await
    }

    fn incarnation(&self) -> Option<Incarnation> {
        self.pool.life().map(|life| life.incarnation())
    }

    fn durability(&self) -> Option<Durability> {
        self.pool.dialler().durability()
    }

    async fn hold_lock(&self, lock: u64) -> bool {
        self.notify && self.listener().hold(lock).await
    }

    fn release_lock(&self, lock: u64) {
        if let Some(listener) = self.notices.get() {
            listener.release(lock);
        }
    }

    async fn is_lock_free(&self, lock: u64) -> Result<bool, Failure> {
        // It is released again with the end of the statement.
        let ask: [(&(dyn ToSql + Sync), Type); 1] = [(&lock.cast_signed(), Type::INT8)];
        let rows = self.rows(Operation::List, "select pg_try_advisory_xact_lock_shared($1)", &ask).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        self.notify.then(|| self.listener().follow())
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let (folder, name) = self.place(name);
        let statement = format!("select bytes from {} where folder = $1 and name = $2", self.table);
        let work = |connection: Arc<Connection>| async move {
            let place: [(&(dyn ToSql + Sync), Type); 2] = [(&folder, Type::TEXT), (&name, Type::TEXT)];
            let row = connection.client().query_typed_opt(&statement, &place).await;
            row.map_err(|error| broken(&error, Operation::Get))
        };
        let row = self.pool.ask(ConnectionPurpose::Long, Operation::Get, READING, work).await?;
        Ok(row.map(|row| Bytes::from(row.get::<_, Vec<u8>>(0))))
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let (of, end) = (joined(&self.prefix, folder), beyond(prefix));
        let listing = self.list_statement("name");
        let life = format!("select {}", self.pool.dialler().expression());
        let work = |connection: Arc<Connection>| async move {
            let range: [(&(dyn ToSql + Sync), Type); 3] =
                [(&of, Type::TEXT), (&prefix, Type::TEXT), (&end, Type::TEXT)];
            let failed = |error: Error| broken(&error, Operation::List);
            let names = connection.client().query_typed(&listing, &range);
            if folder != CLAIMS {
                return Ok((true, names.await.map_err(failed)?));
            }
            // Asked after the listing: it says of a later server at the most, and never of a former one.
            let (names, life) = futures::join!(names, connection.client().query_typed_one(&life, &[]));
            let life = ServerLife::read(life.map_err(failed)?.get(0));
            Ok((self.pool.answered(&connection, &life), names.map_err(failed)?))
        };
        let (is_current, rows) =
            self.pool.ask(ConnectionPurpose::Short, Operation::List, SILENCE, work).await?;
        if !is_current {
            return Err(Failure::new(Meaning::Transient, "a server answered that was replaced"));
        }
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let (of, end) = (joined(&self.prefix, folder), beyond(prefix));
        let statement = self.list_statement(
            "name, octet_length(bytes)::bigint, (extract(epoch from stored_at) * 1000)::bigint",
        );
        let range: [(&(dyn ToSql + Sync), Type); 3] =
            [(&of, Type::TEXT), (&prefix, Type::TEXT), (&end, Type::TEXT)];
        let rows = self.rows(Operation::List, &statement, &range).await?;
        let listed = |row: &Row| ListedObject {
            name: row.get(0),
            bytes: u64::try_from(row.get::<_, i64>(1)).ok(),
            modified_ms: u64::try_from(row.get::<_, i64>(2)).ok(),
        };
        Ok(rows.iter().map(listed).collect())
    }

    fn most_removed_at_once(&self) -> usize {
        REMOVED
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        let (folders, names): (Vec<String>, Vec<&str>) = names.iter().map(|name| self.place(name)).unzip();
        let statement = format!(
            "delete from {} as object using unnest($1, $2) as gone (folder, name) \
             where object.folder = gone.folder and object.name = gone.name",
            self.table
        );
        let gone: [(&(dyn ToSql + Sync), Type); 2] =
            [(&folders, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
        self.rows(Operation::Delete, &statement, &gone).await.map(|_| ())
    }

    async fn inspect(&self, _name: &str) -> Result<Findings, Failure> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.schema, Type::TEXT), (&self.table, Type::TEXT)];
        let rows = self.rows(Operation::List, INSPECT, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(Findings::default()) };
        let ours = i64::try_from(self.pool.dialler().host().wall_ms()).ok();
        let skew_ms = ours.map(|ours| row.get::<_, i64>(0).saturating_sub(ours));
        Ok(Findings { is_public: Some(row.get(1)), skew_ms, risks: risks(row) })
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

/// A client for the database that `spec` names.
#[cfg(test)]
pub async fn dialled(
    spec: &PostgresSpec,
    host: Arc<dyn Host>,
) -> std::result::Result<tokio_postgres::Client, Failure> {
    let dialler = Dialler::new(spec, String::new(), Arc::clone(&host)).expect("a good spec");
    let (client, driver) = dialler.dial(ConnectionPurpose::Short).await?;
    host.spawn(Box::pin(async move { _ = driver.await }));
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_that_start_so_are_below_the_end_of_the_range_and_no_other_is() {
        for (prefix, end) in [
            ("", ""),
            ("a", "b"),
            ("a.", "a/"),
            ("az\u{10ffff}", "a{"),
            ("\u{10ffff}", ""),
            ("\u{d7ff}", "\u{e000}"),
        ] {
            assert_eq!(beyond(prefix), end, "{prefix:?}");
        }
    }
}
