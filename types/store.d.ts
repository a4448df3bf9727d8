// Stores: the kinds, and the sources of their credentials.

/** A directory as the bucket: a mounted volume or network share that outlives the machine. As a URL: `file:///path`. */
export interface DirectoryStore {
  kind: 'directory'
  /** Must exist: a share that is not mounted must not look like an empty store. */
  path: string
  /** Creates a missing directory. For the first start; in a URL `?create=true`. @default false */
  create?: boolean
}

/** For tests: lost when the process ends. As a URL: `memory://name`. */
export interface MemoryStore {
  kind: 'memory'
  name: string
}

/**
 * A bucket with the S3 protocol: AWS, Cloudflare R2, MinIO, Ceph, Garage, SeaweedFS, Backblaze B2 and other compatible servers. As a URL:
 * `s3://bucket/prefix?endpoint=…&region=…&pathStyle=…&instanceMetadata=…`, never with credentials in it.
 *
 * Credentials come from the first source found; incomplete credentials are an error: `accessKeyId` and `secretAccessKey`;
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` (and `AWS_SESSION_TOKEN`); for an endpoint of R2 `R2_ACCESS_KEY_ID` and
 * `R2_SECRET_ACCESS_KEY`; `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN` (`AWS_ROLE_SESSION_NAME`, `AWS_ENDPOINT_URL_STS`);
 * `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, or `AWS_CONTAINER_CREDENTIALS_FULL_URI` and
 * `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`; the keys in the profile `AWS_PROFILE`, or in the default one, of
 * `~/.aws/credentials` and `~/.aws/config` (`AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`); the machine, if
 * `instanceMetadata` allows it. A profile that needs SSO, a role or a program is an error; use `aws configure export-credentials`.
 */
export interface S3Store {
  kind: 's3'
  bucket: string
  /** A folder in the bucket, such as `a/b`. @default the bucket itself */
  prefix?: string
  /** Variables: `AWS_REGION`, `AWS_DEFAULT_REGION`. @default 'us-east-1', or 'auto' for R2, which ignores the variables */
  region?: string
  /** The address of the server. Variables: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`. @default that of AWS */
  endpoint?: string
  /** Put the bucket into the path instead of the host name. @default true with an endpoint or a dot in `bucket`, else false */
  pathStyle?: boolean
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  /** Use the credentials of the machine if there are no others. @default false */
  instanceMetadata?: boolean
}

/**
 * A bucket of Supabase Storage, over its own REST API. As a URL: `supabase://bucket/prefix`; address and key then come from
 * `SUPABASE_URL` and `SUPABASE_SERVICE_KEY` or `SUPABASE_SERVICE_ROLE_KEY`. Address and key always come from the same source.
 */
export interface SupabaseStore {
  kind: 'supabase'
  /** The address of the project, such as `https://ref.supabase.co`. @default the variable, if `key` is left out too */
  url?: string
  /** The secret key (`sb_secret_…`) or the `service_role` key of the project. @default the variable, if `url` is left out too */
  key?: string
  bucket: string
  /** A folder in the bucket, such as `a/b`. @default the bucket itself */
  prefix?: string
  /** Accept a public key (publishable, or `anon`), whose permissions depend on the policies of row level security. @default false */
  allowAnonKey?: boolean
}

/**
 * A bucket of Google Cloud Storage. As a URL: `gs://bucket/prefix?instanceMetadata=…&endpoint=…`.
 *
 * Credentials come from the first source found: `credentials` or `credentialsFile`; `GOOGLE_APPLICATION_CREDENTIALS`,
 * the path of a file; `GOOGLE_CREDENTIALS`, JSON text; the machine, if `instanceMetadata` allows it.
 */
export interface GcsStore {
  kind: 'gcs'
  bucket: string
  /** A folder in the bucket, such as `a/b`. @default the bucket itself */
  prefix?: string
  /** The key of a service account, as an object or as JSON text. */
  credentials?: string | object
  /** The path of a file with the key of a service account, or the credentials of a user. */
  credentialsFile?: string
  /** The address of an emulator or a private endpoint. @default that of Google */
  endpoint?: string
  /** Use the credentials of the machine if there are no others. @default false */
  instanceMetadata?: boolean
  /** Send no credentials: for emulators, and only with an `endpoint`. @default false */
  anonymous?: boolean
}

/**
 * A Postgres database: objects are rows of one table in a schema of its own. Requests cost nothing, and a write in `cloud` mode takes one round
 * trip. As a URL: `postgres://host:port/database/prefix?sslmode=…&maxConnections=…&notify=…`, never with a user or password in it.
 *
 * Without `connectionString` and `host`, the server is the one in `DATABASE_URL`, `POSTGRES_URL` or `SUPABASE_DB_URL` (the first that names a Postgres), or
 * in `PGHOST`, `PGPORT` and `PGDATABASE`. A missing user or password comes from one of those URLs if it is for the same host and port, else from `PGUSER`
 * and `PGPASSWORD`, unless `PGHOST` or `PGPORT` name another server. No variable makes this store by itself: request it, with `SESSION_BACKUP_STORE=postgres`
 * or `supabase-db` (which takes `SUPABASE_DB_URL` first), a URL, or an object.
 */
export interface PostgresStore {
  kind: 'postgres'
  /**
   * `postgres://user:password@host:port/database?sslmode=…`; special characters in the password are percent-encoded. Parameters of Prisma and libpq
   * that concern other programs are ignored, `schema` among them; unknown ones are errors.
   */
  connectionString?: string
  /** The primary, by name or address. A Unix socket, a list of hosts and a replica are errors. */
  host?: string
  /** @default 5432 */
  port?: number
  database?: string
  user?: string
  password?: string
  /**
   * `verify-full`: encrypted, and the certificate is checked against the authorities of the system and `caCertificate`. `require`: encrypted, and nobody checks
   * that it is the right server; logs a warning. `disable`: unencrypted; logs a warning. Overrides the mode in the connection string, which overrides
   * `PGSSLMODE`. `prefer`, `allow` and `verify-ca` are errors. @default 'verify-full', or 'disable' for a server on this machine
   */
  sslmode?: 'verify-full' | 'require' | 'disable'
  /** Schema of the table, for this package alone: lower-case letters, digits and underscores. Created if the user may. @default 'baileys_hybrid_auth' */
  schema?: string
  /** A folder within the table, such as `a/b`: for several services in one database. @default the table itself */
  prefix?: string
  /** Connections of this process for requests of all its sessions, 1 to 32. One more listens for notifications. @default 4 */
  maxConnections?: number
  /** Listen for notifications of the database, so that an owner notices its successor at once. Poolers in transaction mode cannot. @default true */
  notify?: boolean
}

/**
 * A Redis or Valkey server, single or with replicas. For sessions that run: a failover can lose acknowledged writes, and a server that evicts keys or keeps
 * nothing on a disk is rejected. As a URL: `redis://host:port/db?prefix=…&waitReplicas=…&allowVolatile=…&notify=…`, `rediss://` with encryption, never with a
 * password in it.
 *
 * Without `url` and `host`, the server is the one in `REDIS_URL` or `VALKEY_URL`, or in `REDIS_HOST`, `REDIS_PORT` and `REDIS_DB`. A missing password comes from one
 * of those URLs if it is for the same host and port, else from `REDIS_USERNAME` and `REDIS_PASSWORD`, unless `REDIS_HOST` or `REDIS_PORT` name another server. No
 * variable makes this store by itself: request it, with `SESSION_BACKUP_STORE=redis` or `valkey`, a URL, or an object.
 */
export interface RedisStore {
  kind: 'redis'
  /** `redis://user:password@host:port/db`, or `rediss://…`; special characters in the password are percent-encoded. */
  url?: string
  /** The primary, by name or address. A Unix socket and a list of hosts are errors. */
  host?: string
  /** @default 6379 */
  port?: number
  /** Number of the database. @default 0 */
  db?: number
  /** User of the access list. @default the default user */
  username?: string
  password?: string
  /** Encrypt the connection. `'no-verify'`: nobody checks that it is the right server; logs a warning. @default true for `rediss://`, else false */
  tls?: boolean | 'no-verify'
  /** First word of the names of all keys, in braces: letters, digits and `._:-`. @default 'bha' */
  prefix?: string
  /** Number of replicas that must have a write before it counts, 0 to 16. @default 0 */
  waitReplicas?: number
  /** Accept a server that keeps nothing on a disk and has no replica: its restart loses what no process holds in memory or in a log. @default false */
  allowVolatile?: boolean
  /** Listen for messages of the server, so that an owner notices its successor at once. Needs the right to publish and subscribe. @default true */
  notify?: boolean
}

/** A store as an object. Unknown fields are errors, and so are credentials in a URL. */
export type HybridAuthStore = S3Store | SupabaseStore | GcsStore | PostgresStore | RedisStore | DirectoryStore | MemoryStore
