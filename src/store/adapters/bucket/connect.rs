//! From a spec to a bucket: its address, and where its credentials come from.
//!
//! Nothing is sent here. Credentials come from what was configured only: the instance is asked for some only where that was
//! allowed, and a bucket without any is refused before it is used.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, RetryConfig, StaticCredentialProvider};

use super::wire::Wire;
use super::{Bucket, Signer};
use crate::error::{Code, Error, Result};
use crate::platform::host::Host;
use crate::store::adapters::http::Http;
use crate::store::spec::{GcsSpec, S3Spec};

impl Bucket {
    /// A bucket behind the S3 protocol.
    pub fn s3(spec: &S3Spec, host: Arc<dyn Host>) -> Result<Bucket> {
        // These go into headers or the host name as they are, and the library panics at what cannot stand there.
        let is_name =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if spec.region.is_empty() || !is_name(&spec.region) {
            return Err(unusable("the store's region"));
        }
        let texts = [&spec.access_key_id, &spec.secret_access_key, &spec.session_token];
        if texts
            .into_iter()
            .flatten()
            .any(|text| text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(unusable("the store's keys"));
        }
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
            let bucket = format!("/{}", spec.bucket);
            let endpoint =
                if spec.virtual_hosted { &public } else { public.strip_suffix(&bucket).unwrap_or(&public) };
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
                "the store needs credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass `instanceMetadata: true` to use those of the machine",
            ));
        }
        for (name, value) in &spec.environment {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().map_err(|_| unusable(name))?;
            builder = builder.with_config(key, value);
        }
        let http = Arc::new(Http::new(&spec.http, host)?);
        let wire = Wire::to(&public, Arc::clone(&http), Some(&spec.region));
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
            beside: spec.endpoint.as_deref().and_then(|endpoint| beside(endpoint, &spec.bucket)),
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
                    "the store needs credentials; set GOOGLE_APPLICATION_CREDENTIALS, or pass `instanceMetadata: true` to use those of the machine",
                ));
            }
        };
        let public = host_of(endpoint, &spec.bucket, false)?;
        let http = Arc::new(Http::new(&spec.http, host)?);
        let wire = Wire::to(&public, Arc::clone(&http), None);
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
            beside: None,
        })
    }
}

/// Address at which Supabase gives out the objects of a public bucket, by its S3 endpoint.
fn beside(endpoint: &str, bucket: &str) -> Option<reqwest::Url> {
    let mut url = reqwest::Url::parse(endpoint.trim_end_matches('/').strip_suffix("/storage/v1/s3")?).ok()?;
    url.path_segments_mut().ok()?.pop_if_empty().extend(["storage", "v1", "object", "public"]).push(bucket);
    Some(url)
}

/// The library asks once: retries are ours.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::from_secs(3600), ..RetryConfig::default() }
}

fn unusable(what: &str) -> Error {
    Error::new(Code::InvalidOption, format!("{what} cannot be used as configured; check the `store` option"))
}

/// The address of a bucket: one that every layer below can parse, and whose host is the endpoint's own, with at most the bucket's
/// name before it. A signed request goes to no other.
fn host_of(endpoint: &str, bucket: &str, virtual_hosted: bool) -> Result<String> {
    let parsed = |text: &str| {
        let url = reqwest::Url::parse(text).ok()?;
        (url.has_host() && ["http", "https"].contains(&url.scheme())).then_some(url)
    };
    let wrong = || unusable("the store's endpoint");
    if bucket.is_empty() || bucket.contains(['/', '\\']) {
        return Err(unusable("the bucket's name"));
    }
    let root = parsed(endpoint).ok_or_else(wrong)?;
    let bare = root.username().is_empty() && root.password().is_none();
    if !bare || root.query().is_some() || root.fragment().is_some() {
        return Err(wrong());
    }
    let endpoint = root.as_str().trim_end_matches('/').to_owned();
    let host = root.host_str().unwrap_or_default();
    let begins = format!("{bucket}.");
    let (text, expected) = match endpoint.split_once("://") {
        Some((scheme, rest)) if virtual_hosted && !host.starts_with(&begins) => {
            (format!("{scheme}://{begins}{rest}"), format!("{begins}{host}"))
        }
        _ if virtual_hosted => (endpoint.clone(), host.to_owned()),
        _ => (format!("{endpoint}/{bucket}"), host.to_owned()),
    };
    if expected.starts_with('.') || expected.contains("..") {
        return Err(unusable("the bucket's name"));
    }
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = text.parse().map_err(|_| unusable("the bucket's name"))?;
    let url = parsed(&text).filter(|url| url.host_str() == Some(expected.as_str()));
    let url = url.filter(|url| url.port() == root.port() && url.username().is_empty());
    url.filter(|url| url.query().is_none() && url.fragment().is_none())
        .filter(|url| virtual_hosted || url.path().ends_with(&format!("/{bucket}")))
        .ok_or_else(|| unusable("the bucket's name"))?;
    Ok(text)
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
        for endpoint in ["https://s3.example", "http://127.0.0.1:17480", "http://[::1]:1", "http://1.2.3"] {
            for bucket in ["127.0.0.1:1#", "a@b", "a b", "a?b", "a%b", "ä", "a:1", "a/b", "xn--a", "", "."] {
                if let Ok(found) = host_of(endpoint, bucket, true) {
                    let url: reqwest::Url = found.parse().expect("an address");
                    let root: reqwest::Url = endpoint.parse().expect("an address");
                    let below = format!("{bucket}.{}", root.host_str().expect("a host"));
                    assert_eq!((url.host_str(), url.port()), (Some(below.as_str()), root.port()));
                }
            }
        }
        assert_eq!(host_of("s3.example", "b", false).map_err(|error| error.code()), Err(Code::InvalidOption));
    }
}
