//! TLS for stores that speak a protocol of their own over TCP.
//!
//! Invariant: the certificate is verified against the system's authorities and those that were named, and against the host name,
//! unless that was given up in so many words. Whoever is not verified still has to own the key of the certificate that it shows.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

use crate::error::{Code, Error, Result};

/// Verifies nothing but that the server has the key to the certificate that it shows.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A connector that trusts the authorities in `ca`, in PEM, beside those of the system; or anybody, if it is not to `verify`.
pub fn connector(ca: Option<&str>, verify: bool) -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let internal =
        |error: rustls::Error| Error::new(Code::Internal, format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(internal)?;
    let config = if verify {
        let own = authorities(ca)?;
        match Verifier::new_with_extra_roots(own.clone(), Arc::clone(&provider)) {
            Ok(system) => builder.dangerous().with_custom_certificate_verifier(Arc::new(system)),
            Err(_) => {
                // A slim image has no certificates of its own.
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
                roots.add_parsable_certificates(own);
                builder.with_root_certificates(roots)
            }
        }
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(NoVerifier(provider)))
    };
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

fn authorities(ca: Option<&str>) -> Result<Vec<CertificateDer<'static>>> {
    let Some(pem) = ca else { return Ok(Vec::new()) };
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(|| {
        Error::new(Code::InvalidOption, "`caCertificate` contains no certificate in PEM format")
    })
}
