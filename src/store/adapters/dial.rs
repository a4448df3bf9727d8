//! Dialling: a TCP connection to a named host, encrypted or not.
//!
//! Names are resolved on threads of their own, and each address gets its share of the time: one that keeps silent does not keep
//! the others from being tried. A failure tells kinds of errors alone, no address.

use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::resolver::Resolver;
use crate::store::failure::{Failure, Meaning};

/// Time that a connection may take to come about, over all addresses of a host.
pub const CONNECT: Duration = Duration::from_secs(10);
/// The least of it that an address gets.
const SHARE: Duration = Duration::from_secs(2);
/// Silence after which the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Connects to `host`, which is a name or an address.
pub async fn dial(resolver: &Resolver, name: &str, port: u16) -> Result<TcpStream, Failure> {
    let addresses = resolver.addresses(name).await.map_err(|_| {
        Failure::new(Meaning::Transient, "the host name is not found").advise(
            "the address of the store does not exist; check the host of the `store` option, and the DNS of this machine",
        )
    })?;
    let share = (CONNECT / u32::try_from(addresses.len().max(1)).unwrap_or(1)).max(SHARE);
    let mut last = None;
    for mut address in addresses {
        address.set_port(port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // An option that the system refuses costs speed alone.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error.kind().to_string()),
            Err(_) => last = Some("timed out".to_owned()),
        }
    }
    let kind = last.unwrap_or_else(|| "the host has no address".to_owned());
    Err(Failure::new(Meaning::Transient, format!("no connection: {kind}")))
}

/// Encrypts a connection to the host `name`.
pub async fn encrypt(
    tls: &TlsConnector,
    name: &str,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let server = ServerName::try_from(name.to_owned())
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a host name"))?;
    tls.connect(server, stream).await
}

/// Meaning of a connection that could not be encrypted. Only kinds of errors are told.
pub fn unencrypted(error: &std::io::Error) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(reason)) = tls {
        let kind = format!("{reason:?}");
        let kind = kind.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        return Failure::new(Meaning::NotConfigured, format!("certificate: {kind}")).advise(
            "the store's certificate is not trusted; pass the authority that signed it as `caCertificate`",
        );
    }
    match error.kind() {
        std::io::ErrorKind::InvalidInput => {
            Failure::new(Meaning::NotConfigured, "the host of the store is no host name")
        }
        std::io::ErrorKind::InvalidData => Failure::new(Meaning::Transient, "no secure connection")
            .advise("the answer of the store is not TLS; check the port, and whether the server encrypts"),
        kind => Failure::new(Meaning::Transient, format!("no secure connection: {kind}")),
    }
}
