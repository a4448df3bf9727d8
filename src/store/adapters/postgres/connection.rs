//! A connection to the database: made, encrypted, greeted, and known for the server that it leads to.
//!
//! Invariant: nothing is asked over a connection before its server has said that it takes writes, and which life it is in.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::SslMode as Encryption;
use tokio_postgres::tls::{ChannelBinding, TlsConnect};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config};
use tokio_rustls::TlsConnector;

use super::failure::{self, unusable};
use crate::error::Result;
use crate::platform::host::Host;
use crate::platform::meter::METERS;
use crate::store::adapters::dial::{CONNECT, dial, encrypt};
use crate::store::adapters::life::ServerLife;
use crate::store::adapters::pool::{ConnectionPurpose, Dial, PooledConnection};
use crate::store::adapters::resolver::Resolver;
use crate::store::adapters::tls::connector;
use crate::store::failure::{Failure, Meaning};
use crate::store::spec::{PostgresSpec, SslMode};
use crate::store::{Durability, Operation};

/// The oldest server whose behaviour is relied on.
const OLDEST: i32 = 130_000;

// A standby that is promoted begins a timeline. The control file goes on naming the former one until its next checkpoint, so the
// timeline is read from the name of the file that is being written. Two standbys of one primary begin a timeline of the same number,
// and a crash may lose what was committed without a sync, so each start of a server counts as well.
const START: &str = "extract(epoch from pg_postmaster_start_time())::text";
const TIMELINE: &str = "left(pg_walfile_name(pg_current_wal_lsn()), 8)";
const CLUSTER: &str = "(select system_identifier::text from pg_control_system())";

/// Parts of the expression for it, of which the first that a server accepts are used: some services keep these functions to themselves.
const EXPRESSIONS: [[&str; 2]; 3] = [[CLUSTER, TIMELINE], ["''", TIMELINE], ["''", "''"]];

/// The connection as the driver reads and writes it.
type Driver = tokio_postgres::Connection<TcpStream, EncryptedStream>;

/// Makes connections.
pub struct Dialler {
    config: Config,
    name: String,
    port: u16,
    tls: Option<TlsConnector>,
    resolver: Resolver,
    host: Arc<dyn Host>,
    /// The table, as statements name it, and the statements that make it.
    pub table: String,
    schema: String,
    /// True once a pooler refused settings at the start of a connection.
    is_bare: AtomicBool,
    /// The number of the expression for its life that the server accepts.
    expression: AtomicU8,
    durability: Mutex<Option<Durability>>,
}

/// A connection that was greeted.
pub struct Connection {
    client: Client,
    /// The life of the server that answered last.
    life: Mutex<ServerLife>,
}

impl Connection {
    /// Statements are sent through this.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl PooledConnection for Connection {
    fn life(&self) -> ServerLife {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answered_by(&self, life: &ServerLife) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = life.clone();
    }

    fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl Dialler {
    /// A dialler for the database that `spec` names, in which `schema` makes the table where it is missing. Nothing is sent yet.
    pub fn new(spec: &PostgresSpec, schema: String, host: Arc<dyn Host>) -> Result<Dialler> {
        let mut config = Config::new();
        config.user(&spec.user).dbname(&spec.database).application_name("baileys-hybrid-auth");
        if let Some(password) = &spec.password {
            config.password(password);
        }
        let tls = match spec.sslmode {
            SslMode::Disable => None,
            mode => Some(connector(spec.http.ca.as_deref(), mode == SslMode::VerifyFull)?),
        };
        config.ssl_mode(if tls.is_some() { Encryption::Require } else { Encryption::Disable });
        Ok(Dialler {
            config,
            name: spec.host.clone(),
            port: spec.port,
            tls,
            resolver: Resolver::new(Arc::clone(&host)),
            host,
            table: format!("\"{}\".objects", spec.schema),
            schema,
            is_bare: AtomicBool::new(false),
            expression: AtomicU8::new(0),
            durability: Mutex::default(),
        })
    }

    /// Survival of what the server has committed, once it told.
    pub fn durability(&self) -> Option<Durability> {
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The expression for the life of the server, within a statement.
    pub fn expression(&self) -> String {
        let chosen = usize::from(self.expression.load(Ordering::Relaxed));
        let [cluster, timeline] = EXPRESSIONS.get(chosen).copied().unwrap_or(["''", "''"]);
        format!("{cluster} || ':' || {timeline} || ':' || {START}")
    }

    /// A client, and what has to be driven for it.
    pub async fn dial(&self, purpose: ConnectionPurpose) -> Result<(Client, Driver), Failure> {
        let late = |_| Failure::new(Meaning::Transient, "no connection in time");
        timeout(CONNECT, async {
            let is_bare = self.is_bare.load(Ordering::Relaxed);
            match self.start(purpose, is_bare).await {
                Err(error) if !is_bare && error.is_setting_refused() => {
                    self.is_bare.store(true, Ordering::Relaxed);
                    self.start(purpose, true).await.map_err(ConnectFailure::into_failure)
                }
                answer => answer.map_err(ConnectFailure::into_failure),
            }
        })
        .await
        .map_err(late)?
    }

    async fn start(
        &self,
        purpose: ConnectionPurpose,
        is_bare: bool,
    ) -> Result<(Client, Driver), ConnectFailure> {
        let stream = dial(&self.resolver, &self.name, self.port).await.map_err(ConnectFailure::Unreached)?;
        let mut config = self.config.clone();
        if !is_bare && purpose == ConnectionPurpose::Short {
            config.options("-c statement_timeout=15000");
        }
        let tls = Encryptor { tls: self.tls.clone(), name: self.name.clone() };
        config.connect_raw(stream, tls).await.map_err(ConnectFailure::Answered)
    }

    async fn greet(&self, client: Client) -> Result<Connection, Failure> {
        let hello = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
                     to_regclass($1) is not null, current_setting('server_version_num')::int, \
                     current_setting('fsync'), current_setting('synchronous_commit'), \
                     current_setting('synchronous_standby_names') <> ''";
        let refused = |error| failure::of(&error, Operation::List);
        let row = client.query_typed_one(hello, &[(&self.table, Type::TEXT)]).await.map_err(refused)?;
        let (is_standby, is_read_only): (bool, bool) = (row.get(0), row.get(1));
        if is_standby || is_read_only {
            return Err(Failure::new(Meaning::Transient, "the server is a read-only replica").advise(
                "this server accepts no writes: connect to the primary; during a failover retry later",
            ));
        }
        if row.get::<_, i32>(3) < OLDEST {
            return Err(unusable("the server is older than PostgreSQL 13; upgrade it"));
        }
        let durability = match (row.get(4), row.get(5), row.get(6)) {
            ("off", ..) => Durability::Memory,
            (_, "off", _) => Durability::Second,
            (_, "local", _) | (.., false) => Durability::Disk,
            _ => Durability::Replicated,
        };
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = Some(durability);
        if !row.get::<_, bool>(2) {
            self.make_table(&client).await?;
        }
        let life = Mutex::new(self.life(&client).await?);
        Ok(Connection { client, life })
    }

    async fn make_table(&self, client: &Client) -> Result<(), Failure> {
        match client.batch_execute(&self.schema).await {
            // Another process may have made it in the same moment.
            Err(error) if !failure::is_there_already(&error) => Err(failure::of(&error, Operation::Put)),
            _ => Ok(()),
        }
    }

    /// The life of the server, by the first expression that it accepts.
    async fn life(&self, client: &Client) -> Result<ServerLife, Failure> {
        loop {
            let chosen = self.expression.load(Ordering::Relaxed);
            let row = client.query_typed_one(&format!("select {}", self.expression()), &[]).await;
            match row {
                Ok(row) => return Ok(ServerLife::read(row.get(0))),
                Err(error) if failure::is_unknown_here(&error) => {
                    // Another connection may have found that out as well.
                    let _ = self.expression.compare_exchange(
                        chosen,
                        chosen + 1,
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    );
                }
                Err(error) => return Err(failure::of(&error, Operation::List)),
            }
        }
    }
}

#[async_trait]
impl Dial for Dialler {
    type Link = Connection;

    async fn connect(&self, purpose: ConnectionPurpose) -> Result<Connection, Failure> {
        let (client, driver) = self.dial(purpose).await?;
        let open = METERS.connections.raise();
        self.host.spawn(Box::pin(async move {
            // Whoever waits for an answer is told of its end.
            let _ = driver.await;
            drop(open);
        }));
        let greeted = timeout(CONNECT, self.greet(client)).await;
        greeted.unwrap_or_else(|_| Err(Failure::new(Meaning::Transient, "no answer in time")))
    }

    fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }
}

/// A connection that did not come about.
enum ConnectFailure {
    Unreached(Failure),
    Answered(tokio_postgres::Error),
}

impl ConnectFailure {
    fn into_failure(self) -> Failure {
        match self {
            ConnectFailure::Unreached(failure) => failure,
            ConnectFailure::Answered(error) => failure::of(&error, Operation::List),
        }
    }

    /// True if a pooler takes no settings at the start of a connection.
    fn is_setting_refused(&self) -> bool {
        match self {
            ConnectFailure::Answered(error) => error.as_db_error().is_some_and(|error| {
                error.code().code() == "08P01" && error.message().contains("startup parameter")
            }),
            ConnectFailure::Unreached(_) => false,
        }
    }
}

/// Encrypts a connection, where that was asked for.
struct Encryptor {
    tls: Option<TlsConnector>,
    name: String,
}

/// An encrypted connection.
pub struct EncryptedStream(tokio_rustls::client::TlsStream<TcpStream>);

impl TlsConnect<TcpStream> for Encryptor {
    type Stream = EncryptedStream;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<EncryptedStream>> + Send>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        Box::pin(async move {
            let Some(tls) = self.tls else { return Err(std::io::ErrorKind::Unsupported.into()) };
            encrypt(&tls, &self.name, stream).await.map(EncryptedStream)
        })
    }
}

impl tokio_postgres::tls::TlsStream for EncryptedStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for EncryptedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for EncryptedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
