//! From a spec to a bucket: its address, and where its credentials come from.
//!
//! Nothing is sent here. Credentials come from what was configured only: the instance is asked for some only where that was
//! allowed, and a bucket without any is refused before it is used.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, RetryConfig, StaticCredentialProvider};

use super::wire::Wire;
use super::{Bucket, Signer};
use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::remote::http::Http;
use crate::remote::spec::{GcsSpec, S3Spec};

impl Bucket {
    /// A bucket behind the S3 protocol.
    pub fn s3(spec: &S3Spec, host: Arc<dyn Host>) -> Result<Bucket> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&spec.bucket)
            .with_region(&spec.region)
            .with_virtual_hosted_style_request(spec.virtual_hosted)
            .with_disable_bulk_delete(true)
            .with_allow_http(true)
            .with_retry(once());
        let near = |endpoint: &str| host_of(endpoint, &spec.bucket, spec.virtual_hosted);
        let public = match &spec.endpoint {
            Some(endpoint) => near(endpoint),
            None => near(&format!("https://s3.{}.amazonaws.com", spec.region)),
        }?;
        if spec.endpoint.is_some() {
            // The library wants the bucket in the endpoint where it is part of the host name, and adds it where it is not.
            let endpoint =
                if spec.virtual_hosted { public.clone() } else { spec.endpoint.clone().unwrap_or_default() };
            builder = builder.with_endpoint(endpoint);
        }
        let keys = (&spec.access_key_id, &spec.secret_access_key);
        if let (Some(id), Some(secret)) = keys {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
            if let Some(token) = &spec.session_token {
                builder = builder.with_token(token);
            }
        } else if spec.environment.is_empty() && !spec.instance_metadata {
            return Err(Error::new(
                Code::InvalidOption,
                "the store needs credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass `instanceMetadata: true` to ask the instance",
            ));
        }
        for (name, value) in &spec.environment {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().map_err(|_| unusable(name))?;
            builder = builder.with_config(key, value);
        }
        let http = Arc::new(Http::new(&spec.http, host)?);
        let wire = Wire::to(&public, Arc::clone(&http));
        let store =
            builder.with_http_connector(wire.clone()).build().map_err(|_| unusable("the S3 store"))?;
        let store = Arc::new(store);
        Ok(Bucket {
            signer: Signer::S3 { store: Arc::clone(&store), region: spec.region.clone() },
            wire,
            objects: Arc::clone(&store) as _,
            pages: store,
            http,
            prefix: spec.prefix.clone(),
            public,
        })
    }

    /// A bucket of Google Cloud Storage.
    pub fn gcs(spec: &GcsSpec, host: Arc<dyn Host>) -> Result<Bucket> {
        let endpoint = spec.endpoint.as_deref().unwrap_or("https://storage.googleapis.com");
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&spec.bucket)
            .with_base_url(endpoint.trim_end_matches('/'))
            .with_skip_signature(spec.anonymous)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(once());
        builder = match (&spec.credentials, &spec.credentials_file) {
            (Some(json), _) => builder.with_service_account_key(json),
            (None, Some(file)) => builder.with_application_credentials(file),
            // Some requests are signed whatever is said: with nothing, then.
            (None, None) if spec.anonymous => {
                builder.with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                    bearer: String::new(),
                })))
            }
            (None, None) if spec.instance_metadata => builder,
            (None, None) => {
                return Err(Error::new(
                    Code::InvalidOption,
                    "the store needs credentials; set GOOGLE_APPLICATION_CREDENTIALS, or pass `instanceMetadata: true` to ask the instance",
                ));
            }
        };
        let public = host_of(endpoint, &spec.bucket, false)?;
        let http = Arc::new(Http::new(&spec.http, host)?);
        let wire = Wire::to(&public, Arc::clone(&http));
        let store = builder.with_http_connector(wire.clone()).build();
        let store =
            Arc::new(store.map_err(|_| unusable("the credentials of the Google Cloud Storage bucket"))?);
        Ok(Bucket {
            signer: Signer::Gcs { store: Arc::clone(&store), anonymous: spec.anonymous },
            wire,
            objects: Arc::clone(&store) as _,
            pages: store,
            http,
            prefix: spec.prefix.clone(),
            public,
        })
    }
}

/// The library asks once: patience is ours.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::from_secs(3600), ..RetryConfig::default() }
}

fn unusable(what: &str) -> Error {
    Error::new(Code::InvalidOption, format!("{what} cannot be used as configured; check the `store` option"))
}

/// The address of a bucket.
fn host_of(endpoint: &str, bucket: &str, virtual_hosted: bool) -> Result<String> {
    let endpoint = endpoint.trim_end_matches('/');
    match endpoint.split_once("://") {
        Some((scheme, rest)) if virtual_hosted && !rest.starts_with(&format!("{bucket}.")) => {
            Ok(format!("{scheme}://{bucket}.{rest}"))
        }
        Some(_) if virtual_hosted => Ok(endpoint.to_owned()),
        Some(_) => Ok(format!("{endpoint}/{bucket}")),
        None => Err(unusable("the store's endpoint")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_part_of_the_path_or_of_the_host_name() {
        let at = |endpoint, virtual_hosted| host_of(endpoint, "b.c", virtual_hosted).expect("an address");
        assert_eq!(at("https://s3.example:9000/", false), "https://s3.example:9000/b.c");
        assert_eq!(at("https://s3.example:9000/", true), "https://b.c.s3.example:9000");
        assert_eq!(at("https://b.c.s3.example", true), "https://b.c.s3.example", "it is there already");
        assert_eq!(host_of("s3.example", "b", false).map_err(|error| error.code), Err(Code::InvalidOption));
    }
}
