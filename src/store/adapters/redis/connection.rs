//! A connection to Redis or Valkey: made, encrypted, greeted, and refused where the server would forget what it is given.
//!
//! Invariant: nothing is asked over a connection before its server has said that it is no replica, evicts nothing of ours and
//! keeps what it has, unless it was allowed not to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::failure::{self, unusable};
use crate::error::Result;
use crate::platform::host::Host;
use crate::platform::meter::METERS;
use crate::store::adapters::dial::{CONNECT, dial, encrypt, unencrypted};
use crate::store::adapters::life::ServerLife;
use crate::store::adapters::pool::{ConnectionPurpose, Dial, PooledConnection};
use crate::store::adapters::resolver::Resolver;
use crate::store::adapters::tls::connector;
use crate::store::failure::{Failure, Meaning};
use crate::store::spec::RedisSpec;
use crate::store::{Durability, Operation};

/// A connection that was greeted.
pub struct Connection {
    client: MultiplexedConnection,
    life: Mutex<ServerLife>,
    ended: Arc<AtomicBool>,
}

/// Makes connections.
pub struct Dialler {
    info: RedisConnectionInfo,
    /// The address: the one that was configured, or that of the node of a cluster which has the keys.
    address: Mutex<(String, u16)>,
    /// The name that the certificate has to be for.
    name: String,
    tls: Option<TlsConnector>,
    resolver: Resolver,
    host: Arc<dyn Host>,
    allow_volatile: bool,
    durability: Mutex<Option<Durability>>,
    /// True if the server removes keys that expire when its memory is full: none of ours does.
    evicts_others: AtomicBool,
}

impl Connection {
    /// Commands are sent through this, one behind the other.
    pub fn client(&self) -> MultiplexedConnection {
        self.client.clone()
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
        self.ended.load(Ordering::Relaxed)
    }
}

impl Dialler {
    /// A dialler for the server that `spec` names. Nothing is sent yet.
    pub fn new(spec: &RedisSpec, host: Arc<dyn Host>) -> Result<Dialler> {
        let mut info = RedisConnectionInfo::default().set_db(spec.db).set_skip_set_lib_name();
        if let Some(username) = &spec.username {
            info = info.set_username(username);
        }
        if let Some(password) = &spec.password {
            info = info.set_password(password);
        }
        let tls = spec.tls.then(|| connector(spec.http.ca.as_deref(), spec.verify)).transpose()?;
        Ok(Dialler {
            info,
            address: Mutex::new((spec.host.clone(), spec.port)),
            name: spec.host.clone(),
            tls,
            resolver: Resolver::new(Arc::clone(&host)),
            host,
            allow_volatile: spec.allow_volatile,
            durability: Mutex::default(),
            evicts_others: AtomicBool::new(false),
        })
    }

    /// Survival of what the server has acknowledged, once it told.
    pub fn durability(&self) -> Option<Durability> {
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Risks of the server's settings.
    pub fn risks(&self) -> Vec<String> {
        let shared = "maxmemory-policy is volatile: the server removes keys of others to make room, and rejects writes once there are none; use a server of its own with noeviction";
        if self.evicts_others.load(Ordering::Relaxed) { vec![shared.to_owned()] } else { Vec::new() }
    }

    /// The next connections go to the node that has the keys.
    pub fn follow(&self, error: &RedisError) {
        let Some((address, _)) = error.redirect_node() else { return };
        let node =
            address.rsplit_once(':').and_then(|(name, port)| Some((name.to_owned(), port.parse().ok()?)));
        if let Some((name, port)) = node.filter(|(name, _): &(String, u16)| !name.is_empty()) {
            *self.address.lock().unwrap_or_else(PoisonError::into_inner) = (name, port);
        }
    }

    /// A client, and a flag that is set when its connection has ended.
    pub async fn dial(
        &self,
        protocol: ProtocolVersion,
        pushes: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<(MultiplexedConnection, Arc<AtomicBool>), Failure> {
        let late = |_| Failure::new(Meaning::Transient, "no connection in time");
        timeout(CONNECT, async {
            let (name, port) = self.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let stream = dial(&self.resolver, &name, port).await?;
            match &self.tls {
                None => self.start(stream, protocol, pushes).await,
                Some(tls) => {
                    let stream =
                        encrypt(tls, &self.name, stream).await.map_err(|error| unencrypted(&error))?;
                    self.start(stream, protocol, pushes).await
                }
            }
        })
        .await
        .map_err(late)?
    }

    async fn start(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        protocol: ProtocolVersion,
        pushes: Option<Arc<dyn AsyncPushSender>>,
    ) -> Result<(MultiplexedConnection, Arc<AtomicBool>), Failure> {
        // How long an answer may take is up to those who ask.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None);
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        let info = self.info.clone().set_protocol(protocol);
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (client, driver) = made.map_err(|error| failure::unmade(&error))?;
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let open = METERS.connections.raise();
        self.host.spawn(Box::pin(async move {
            driver.await;
            drop(open);
            over.store(true, Ordering::Relaxed);
        }));
        Ok((client, ended))
    }

    /// True if the server is known to sync its log before it answers. Many services keep that to themselves.
    async fn syncs_each_write(&self, mut client: MultiplexedConnection) -> bool {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("appendfsync");
        let told = ask.query_async::<Vec<String>>(&mut client).await;
        told.is_ok_and(|told| told.last().is_some_and(|value| value == "always"))
    }

    async fn greet(&self, mut client: MultiplexedConnection) -> Result<ServerLife, Failure> {
        let told: redis::RedisResult<String> = redis::cmd("INFO").query_async(&mut client).await;
        let told = told.map_err(|error| failure::of(&error, Operation::List))?;
        let field = |name: &str| {
            told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        if field("role") == Some("slave") {
            return Err(Failure::new(Meaning::Transient, "the server is a replica").advise(
                "this server accepts no writes: connect to the primary; during a failover retry later",
            ));
        }
        if field("loading") == Some("1") {
            return Err(Failure::new(Meaning::Transient, "LOADING"));
        }
        if field("maxmemory_policy").is_some_and(|policy| policy.starts_with("allkeys-")) {
            return Err(unusable(
                "maxmemory_policy",
                "the server removes any key when its memory is full, and a session would be lost: set `maxmemory-policy` to noeviction or volatile-lru",
            ));
        }
        let is_kept = field("aof_enabled").is_none_or(|on| on == "1")
            || field("connected_slaves").is_some_and(|count| count != "0");
        if !is_kept && !self.allow_volatile {
            return Err(unusable(
                "aof_enabled",
                "the server keeps no log on a disk and has no replica, so a restart loses the latest writes: set `appendonly yes`, or pass `allowVolatile: true`",
            ));
        }
        let is_volatile = field("maxmemory_policy").is_some_and(|policy| policy.starts_with("volatile-"));
        self.evicts_others.store(is_volatile, Ordering::Relaxed);
        let has_log = field("aof_enabled").is_none_or(|on| on == "1");
        let durability = match has_log {
            false => Durability::Memory,
            true if self.syncs_each_write(client).await => Durability::Disk,
            true => Durability::Second,
        };
        *self.durability.lock().unwrap_or_else(PoisonError::into_inner) = Some(durability);
        // The process, and its history: a replica that becomes a primary has a history of its own, and so has one that returns.
        let part = |name: &str| field(name).unwrap_or_default();
        Ok(ServerLife::read(format!("{}:{}", part("run_id"), part("master_replid"))))
    }
}

#[async_trait]
impl Dial for Dialler {
    type Link = Connection;

    async fn connect(&self, _purpose: ConnectionPurpose) -> Result<Connection, Failure> {
        let (client, ended) = self.dial(ProtocolVersion::RESP2, None).await?;
        let greeted = timeout(CONNECT, self.greet(client.clone())).await;
        let life = greeted.unwrap_or_else(|_| Err(Failure::new(Meaning::Transient, "no answer in time")))?;
        Ok(Connection { client, life: Mutex::new(life), ended })
    }

    fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }
}
