//! HTTP: one client and one connection pool for all tenants of a store.
//!
//! A request either gets one complete answer, or a [`Failure`] that says whether it may have taken effect. Nothing of a
//! request is ever repeated in a failure: an address may hold a signature, and a name a tenant.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Request};

use super::resolver::Resolver;
use crate::error::{Code, Error, Result};
use crate::platform::host::Host;
use crate::store::Operation;
use crate::store::failure::{Failure, Meaning, Refusal, judge};
use crate::store::spec::HttpSpec;

/// Time that a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Time that an answer may keep silent. What is then unknown is asked again, with the same name and bytes.
const SILENCE: Duration = Duration::from_secs(20);
/// The slowest upload that is waited for, in bytes per second.
const SLOWEST: u64 = 32 << 10;
/// Time that reading a body may take in all.
const READING: Duration = Duration::from_secs(600);
/// No object of ours comes near this; what is larger is not ours, or an attempt to fill the memory.
const MAX_BODY: usize = 1 << 30;
/// A clock further off than this, in milliseconds, makes signatures and tokens fail, now or at the next change.
const MAX_SKEW_MS: i64 = 15 * 60 * 1000;
/// Connections that have been idle for longer may have died unseen, and are not used again.
const IDLE: Duration = Duration::from_secs(20);

/// A complete answer, whatever its status.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

impl Reply {
    /// Time for which the store asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?;
        if let Ok(seconds) = text.trim().parse() {
            return Some(Duration::from_secs(seconds));
        }
        let (until, now) = (date(self.headers.get(RETRY_AFTER))?, date(self.headers.get(DATE))?);
        Some(Duration::from_millis(until.saturating_sub(now)))
    }
}

/// A client with its connection pool.
pub struct Http {
    client: Client,
    /// For what is on this machine or beside it: the environment's proxy leads away from there.
    direct: Client,
    host: Arc<dyn Host>,
    /// Lead of the store's clock over ours, in milliseconds; [`UNKNOWN`] before its first answer.
    skew: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// A client for one store.
    pub fn new(spec: &HttpSpec, host: Arc<dyn Host>) -> Result<Http> {
        // Another addon of the process may have installed one: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = match &spec.ca {
            Some(pem) => Certificate::from_pem_bundle(pem.as_bytes())
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| {
                    Error::new(Code::InvalidOption, "`caCertificate` contains no certificate in PEM format")
                })?,
            None => Vec::new(),
        };
        let resolver = Arc::new(Resolver::new(Arc::clone(&host)));
        let client = |builder: fn() -> ClientBuilder| {
            let builder = || builder().dns_resolver(Arc::clone(&resolver));
            let client = builder().tls_certs_merge(own.clone()).build().or_else(|_| {
                // A slim image has no certificates of its own.
                let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
                let bundled = bundled.filter_map(|der| Certificate::from_der(der).ok());
                builder().tls_certs_only(bundled.chain(own.clone())).build()
            });
            client.map_err(|error| {
                let reason = error.without_url();
                Error::new(Code::Internal, format!("the HTTP client cannot be created: {reason}"))
            })
        };
        let (client, direct) = (client(builder)?, client(|| builder().no_proxy())?);
        Ok(Http { client, direct, host, skew: AtomicI64::new(UNKNOWN) })
    }

    /// Lead of the store's clock over ours, in milliseconds, if it ever told.
    pub fn skew_ms(&self) -> Option<i64> {
        Some(self.skew.load(Ordering::Relaxed)).filter(|skew| *skew != UNKNOWN)
    }

    /// Sends a request whose body has `len` bytes, and waits for the whole answer.
    pub async fn send(&self, mut request: Request, len: u64, asked: Operation) -> Result<Reply, Failure> {
        let within =
            if asked == Operation::Get { READING } else { SILENCE + Duration::from_secs(len / SLOWEST) };
        *request.timeout_mut() = Some(within);
        let client = if is_near(request.url()) { &self.direct } else { &self.client };
        let sent =
            tokio::time::timeout(SILENCE + Duration::from_secs(len / SLOWEST), client.execute(request));
        let mut response = match sent.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(broken(&error, asked)),
            Err(_) => return Err(unsettled(asked, "no answer in time")),
        };
        self.note_clock(response.headers());
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let announced = response.content_length();
        let room = announced.map_or(0, |len| usize::try_from(len.min(16 << 20)).unwrap_or(0));
        let mut body = BytesMut::with_capacity(room);
        loop {
            match tokio::time::timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(chunk))) if body.len() + chunk.len() > MAX_BODY => {
                    return Err(Failure::new(Meaning::Impossible, "an answer without end"));
                }
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(broken(&error, asked)),
                Err(_) => return Err(unsettled(asked, "the answer stopped in the middle")),
            }
        }
        if announced.is_some_and(|len| len != body.len() as u64) {
            return Err(unsettled(asked, "the answer was truncated"));
        }
        Ok(Reply { status, headers, body: body.freeze() })
    }

    /// A refusal of the credentials, by the clock where that is the likely reason: tokens and signatures hold times.
    pub fn explain(&self, failure: Failure) -> Failure {
        match self.skew_ms().and_then(skewed) {
            Some(clocks) if failure.meaning == Meaning::Denied => failure.advise(clocks),
            _ => failure,
        }
    }

    /// True if anybody can read what is at `url`.
    pub async fn is_public(&self, url: reqwest::Url) -> Result<bool, Failure> {
        let reply = self.send(Request::new(reqwest::Method::GET, url), 0, Operation::Get).await?;
        match reply.status {
            200..300 => Ok(true),
            // Refused, or hidden: either will do.
            300..500 if reply.status != 429 => Ok(false),
            status => {
                let refusal = Refusal { status, code: None, retry_after: reply.retry_after() };
                Err(judge(&refusal, Operation::Get).advise(
                    "the store fails at a request without credentials, so the check for a public bucket is impossible; retry later, or skip the check with `allowPublicBucket: true`",
                ))
            }
        }
    }

    fn note_clock(&self, headers: &HeaderMap) {
        let Some(told) = date(headers.get(DATE)) else { return };
        let (theirs, ours) = (i64::try_from(told), i64::try_from(self.host.wall_ms()));
        if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
            self.skew.store(theirs.saturating_sub(ours), Ordering::Relaxed);
        }
    }
}

/// Milliseconds since 1970 in a header. Servers write such times as mail does (RFC 9110, 5.6.7), with `GMT` for the zone.
fn date(header: Option<&HeaderValue>) -> Option<u64> {
    let date = chrono::DateTime::parse_from_rfc2822(header?.to_str().ok()?.trim()).ok()?;
    date.timestamp_millis().try_into().ok()
}

/// Message about clocks that are too far apart; `ms` is the lead of the store's.
pub fn skewed(ms: i64) -> Option<String> {
    let way = if ms > 0 { "behind" } else { "ahead of" };
    let minutes = ms.abs() / 60_000;
    (ms.abs() > MAX_SKEW_MS)
        .then(|| format!("the clock of this machine is {minutes} minutes {way} the store's; set it (NTP)"))
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("baileys-hybrid-auth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(15))
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(10))
        // A signature names its host: what is redirected has to be configured.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
}

/// True if this is on the machine itself, or its metadata server.
fn is_near(url: &reqwest::Url) -> bool {
    match url.host_str().map(|host| (host, host.trim_matches(['[', ']']).parse())) {
        Some((_, Ok(IpAddr::V4(ip)))) => ip.is_loopback() || ip.is_link_local(),
        Some((_, Ok(IpAddr::V6(ip)))) => ip.is_loopback() || ip.is_unicast_link_local(),
        Some((name, Err(_))) => name == "localhost" || name == "metadata.google.internal",
        None => false,
    }
}

/// Meaning of a request without a complete answer: done or not, if it was to change something.
fn unsettled(asked: Operation, detail: &str) -> Failure {
    Failure::new(if asked.changes() { Meaning::Ambiguous } else { Meaning::Transient }, detail)
}

/// Meaning of a broken connection. Only kinds of errors are told: their texts hold addresses.
fn broken(error: &reqwest::Error, asked: Operation) -> Failure {
    let mut source = error.source();
    let (mut io, mut tls) = (None, None);
    while let Some(inner) = source {
        io = io.or_else(|| inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        tls = tls.or_else(|| inner.downcast_ref::<rustls::Error>().cloned());
        // An error of the TLS layer travels inside of errors of I/O, which do not give it as their source.
        let mut wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        while let Some(error) = wrapped {
            tls = tls.or_else(|| error.downcast_ref::<rustls::Error>().cloned());
            wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        }
        source = inner.source();
    }
    if error.is_builder() {
        return Failure::new(Meaning::NotConfigured, "the address of the store is not a URL");
    }
    if let Some(rustls::Error::InvalidCertificate(reason)) = &tls {
        let kind = format!("{reason:?}");
        let kind = kind.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        return Failure::new(Meaning::NotConfigured, format!("certificate: {kind}")).advise(
            "the store's certificate is not trusted; pass the authority that signed it as `caCertificate`",
        );
    }
    if error.is_dns() {
        return Failure::new(Meaning::Transient, "the host name is not found").advise(
            "the address of the store does not exist; check the endpoint, the region, the bucket if it is part of the address, and the DNS of this machine",
        );
    }
    if let Some(rustls::Error::InvalidMessage(_)) = &tls {
        return Failure::new(Meaning::Transient, "no secure connection")
            .advise("what answers there does not speak TLS; check the port, or whether the address begins with http://");
    }
    let kind = io.map(|kind| format!(": {kind}")).unwrap_or_default();
    if error.is_connect() {
        let what = if tls.is_some() { "no secure connection" } else { "no connection" };
        return Failure::new(Meaning::Transient, format!("{what}{kind}"));
    }
    if error.is_timeout() {
        return unsettled(asked, "no answer in time");
    }
    unsettled(asked, &format!("the connection broke{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), value.parse().expect("a header"))
        });
        Reply { status: 503, headers: headers.collect(), body: Bytes::new() }.retry_after()
    }

    #[test]
    fn how_long_to_wait_is_read_in_seconds_and_as_a_date_of_the_stores_own_clock() {
        let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(asked(&[("retry-after", "120")]), Some(Duration::from_secs(120)));
        assert_eq!(
            asked(&[("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"), date]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked(&[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"), date]), Some(Duration::ZERO));
        for headers in [&[][..], &[("retry-after", "soon"), date], &[("retry-after", "-5"), date]] {
            assert_eq!(asked(headers), None);
        }
    }

    #[test]
    fn what_is_on_this_machine_or_beside_it_is_never_reached_through_a_proxy() {
        let near = |url: &str| is_near(&url.parse().expect("a URL"));
        for url in [
            "http://127.0.0.1:9000/b",
            "http://localhost/b",
            "http://[::1]:1/",
            "http://169.254.169.254/latest",
            "http://metadata.google.internal/",
        ] {
            assert!(near(url), "{url}");
        }
        for url in [
            "https://s3.amazonaws.com/",
            "http://10.0.0.1/",
            "http://192.168.1.1/",
            "https://localhost.example/",
        ] {
            assert!(!near(url), "{url}");
        }
    }
}
