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

/** A store as an object. Unknown fields are errors, and so are credentials in a URL. */
export type HybridAuthStore = S3Store | SupabaseStore | GcsStore | DirectoryStore | MemoryStore
