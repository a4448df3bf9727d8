//! The store, as configured.
//!
//! A spec is compared and hashed, so that all tenants of a process that name the same store share one client. It holds
//! credentials, and so it is never printed.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The store.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum StoreSpec {
    /// A directory as the bucket.
    Directory {
        /// Its address.
        path: PathBuf,
        /// True if it is made if it is not there.
        #[serde(default)]
        create: bool,
        /// Folder of this machine in which it is remembered.
        #[serde(default, rename = "rememberedIn")]
        remembered_in: Remembrance,
    },
    /// In the memory of this process, by name: for tests.
    Memory {
        /// Its name.
        name: String,
    },
    /// Anything that speaks S3.
    S3(S3Spec),
    /// Google Cloud Storage.
    Gcs(GcsSpec),
    /// Supabase Storage, over its own REST API.
    Supabase(SupabaseSpec),
    /// A table in a PostgreSQL database.
    Postgres(PostgresSpec),
    /// Redis or Valkey.
    Redis(RedisSpec),
}

/// A folder of this machine in which a store is remembered, if there is one. It is no part of what the store is: specs that differ in
/// nothing else are one store.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Remembrance(pub Option<PathBuf>);

impl PartialEq for Remembrance {
    fn eq(&self, _: &Remembrance) -> bool {
        true
    }
}

impl Eq for Remembrance {}

impl Hash for Remembrance {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Settings that all stores behind a network have in common.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSpec {
    /// Authorities to trust beside those of the system, in PEM.
    pub ca: Option<String>,
    /// True if a bucket that everybody can read is taken.
    pub allow_public: bool,
    /// Requests under way at once, of all tenants together.
    pub max_concurrent_requests: usize,
}

/// A bucket behind the S3 protocol.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Spec {
    /// The bucket.
    pub bucket: String,
    /// The folder in it, without slashes at the ends; may be empty.
    pub prefix: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Its address; none for Amazon's own.
    pub endpoint: Option<String>,
    /// True if the bucket is part of the host name.
    pub virtual_hosted: bool,
    /// Static credentials.
    pub access_key_id: Option<String>,
    /// Their secret.
    pub secret_access_key: Option<String>,
    /// Their session, if they are temporary.
    pub session_token: Option<String>,
    /// Variables of the library's credential chain: web identity, container.
    pub environment: BTreeMap<String, String>,
    /// True if the instance metadata server may be asked.
    pub instance_metadata: bool,
    /// The rest.
    #[serde(flatten)]
    pub http: HttpSpec,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsSpec {
    /// The bucket.
    pub bucket: String,
    /// The folder in it, without slashes at the ends; may be empty.
    pub prefix: String,
    /// Its address; none for Google's own.
    pub endpoint: Option<String>,
    /// A service account key, as JSON.
    pub credentials: Option<String>,
    /// A file with credentials.
    pub credentials_file: Option<String>,
    /// True if the instance metadata server may be asked.
    pub instance_metadata: bool,
    /// Send no credentials.
    pub anonymous: bool,
    /// The rest.
    #[serde(flatten)]
    pub http: HttpSpec,
}

/// A bucket of Supabase Storage.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupabaseSpec {
    /// The project's address, without `/storage/v1`.
    pub url: String,
    /// A secret key: new-style, or a JWT.
    pub key: String,
    /// The bucket.
    pub bucket: String,
    /// The folder in it, without slashes at the ends; may be empty.
    pub prefix: String,
    /// The rest.
    #[serde(flatten)]
    pub http: HttpSpec,
}

/// A table in a PostgreSQL database.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostgresSpec {
    /// Its host: a name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// Encryption of connections, and whether the server has to prove its name.
    pub sslmode: SslMode,
    /// The schema of the table, a name of letters, digits and underscores.
    pub schema: String,
    /// The folder in it, without slashes at the ends; may be empty.
    pub prefix: String,
    /// The number of connections for requests; one more listens.
    pub max_connections: usize,
    /// True if claims are told by NOTIFY, and listened for.
    pub notify: bool,
    /// The rest.
    #[serde(flatten)]
    pub http: HttpSpec,
}

/// Encryption of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// None.
    Disable,
    /// Encrypted, whoever answers.
    Require,
    /// Encrypted, and the certificate is trusted and for this host.
    VerifyFull,
}

/// Redis or Valkey.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedisSpec {
    /// Its host: a name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The number of the database.
    pub db: i64,
    /// The user, where there are several.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// True if connections are encrypted.
    pub tls: bool,
    /// True if the certificate has to be trusted and for this host.
    pub verify: bool,
    /// The word in the hash tag of all keys.
    pub prefix: String,
    /// The number of replicas that have to have a write before it counts.
    pub wait_replicas: usize,
    /// True if a server that keeps nothing on a disk is taken.
    pub allow_volatile: bool,
    /// True if claims are told by PUBLISH, and listened for.
    pub notify: bool,
    /// The rest.
    #[serde(flatten)]
    pub http: HttpSpec,
}

impl StoreSpec {
    /// The same store, remembered in that folder of this machine where nothing else can tell that it is there.
    pub fn remembered_in(mut self, folder: &Path) -> StoreSpec {
        if let StoreSpec::Directory { remembered_in, .. } = &mut self {
            remembered_in.0 = Some(folder.to_owned());
        }
        self
    }

    /// Settings that all stores behind HTTP have in common, if this is one.
    pub fn http(&self) -> Option<&HttpSpec> {
        match self {
            StoreSpec::Directory { .. } | StoreSpec::Memory { .. } => None,
            StoreSpec::S3(S3Spec { http, .. })
            | StoreSpec::Gcs(GcsSpec { http, .. })
            | StoreSpec::Supabase(SupabaseSpec { http, .. })
            | StoreSpec::Postgres(PostgresSpec { http, .. })
            | StoreSpec::Redis(RedisSpec { http, .. }) => Some(http),
        }
    }
}
