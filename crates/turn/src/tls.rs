//! TLS to a TURN server, as bytes in and bytes out.

use std::io::{Cursor, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::{ServerError, Trust};

/// The client's end of one TLS connection.
pub(crate) struct Tls {
    connection: ClientConnection,
}

fn tls_error(error: impl ToString) -> ServerError {
    ServerError::Tls {
        reason: error.to_string(),
    }
}

impl Tls {
    /// `host` is a name or an address.
    pub fn new(host: &str, trust: &Trust) -> Result<Tls, ServerError> {
        let name = ServerName::try_from(host.to_owned()).map_err(tls_error)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(tls_error)?;
        let config = match trust {
            Trust::Roots(roots) => builder.with_root_certificates(Arc::clone(roots)),
            Trust::Anyone => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        };
        let config = Arc::new(config.with_no_client_auth());
        let connection = ClientConnection::new(config, name).map_err(tls_error)?;
        Ok(Tls { connection })
    }

    /// Bytes of the TCP connection; the plain text that came of them.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Vec<u8>, ServerError> {
        let mut rest = Cursor::new(bytes);
        let mut plain = Vec::new();
        while rest.position() < bytes.len() as u64 {
            if self.connection.read_tls(&mut rest).map_err(tls_error)? == 0 {
                break;
            }
            self.connection.process_new_packets().map_err(tls_error)?;
            match self.connection.reader().read_to_end(&mut plain) {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(tls_error(error)),
            }
        }
        Ok(plain)
    }

    /// Plain text to send; it waits inside until the handshake is over.
    pub fn send(&mut self, plain: &[u8]) -> Result<(), ServerError> {
        self.connection.writer().write_all(plain).map_err(tls_error)
    }

    /// Bytes for the TCP connection.
    pub fn take_output(&mut self) -> Result<Vec<u8>, ServerError> {
        let mut output = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut output).map_err(tls_error)?;
        }
        Ok(output)
    }
}

/// For an owner that said not to verify: the handshake's signatures still have to be right.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
