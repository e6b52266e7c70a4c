//! The certificate of the process and the configuration that goes with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use dimpl::DtlsCertificate;

use crate::error::{Result, TransportError};

/// DTLS records stay below this size; ICE paths with smaller MTUs are rare.
pub(crate) const DTLS_MTU_BYTES: usize = 1200;

/// A self-signed ECDSA P-256 certificate and the DTLS configuration around it.
///
/// Making one costs about a millisecond, so a process has one and shares it.
pub struct Certificate {
    dtls: DtlsCertificate,
    config: Arc<dimpl::Config>,
    fingerprint: String,
}

impl Certificate {
    /// Makes a new key pair and certificate.
    ///
    /// # Errors
    /// [`TransportError::Certificate`] when the cryptographic library refuses.
    pub fn generate() -> Result<Arc<Certificate>> {
        let dtls = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|error| TransportError::Certificate(error.to_string()))?;
        let fingerprint = format!("sha-256 {}", hexadecimal(&digest::SHA256, &dtls.certificate));
        Ok(Arc::new(Certificate {
            dtls,
            config: configuration(None)?,
            fingerprint,
        }))
    }

    /// The same certificate for simulations: timers are the same in every run, at the price of nonces that can be
    /// guessed.
    ///
    /// # Errors
    /// [`TransportError::Certificate`] when the configuration is refused.
    pub fn repeatable(&self) -> Result<Arc<Certificate>> {
        Ok(Arc::new(Certificate {
            dtls: self.dtls(),
            config: configuration(Some(1))?,
            fingerprint: self.fingerprint.clone(),
        }))
    }

    /// The fingerprint as SDP writes it: `sha-256 AB:CD:..` (RFC 8122 section 5).
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate and its private key, both DER: for another stack of this process that is to be known by the
    /// same fingerprint.
    pub fn der(&self) -> (Vec<u8>, Vec<u8>) {
        (self.dtls.certificate.clone(), self.dtls.private_key.clone())
    }

    pub(crate) fn dtls(&self) -> DtlsCertificate {
        self.dtls.clone()
    }

    pub(crate) fn config(&self) -> Arc<dimpl::Config> {
        Arc::clone(&self.config)
    }
}

fn configuration(seed: Option<u64>) -> Result<Arc<dimpl::Config>> {
    // ICE proves that the peer owns its address, so the cookie round trip buys nothing.
    let mut builder = dimpl::Config::builder()
        .mtu(DTLS_MTU_BYTES)
        .use_server_cookie(false)
        .flight_start_rto(Duration::from_millis(250))
        .flight_retries(7)
        .handshake_timeout(Duration::from_secs(30));
    if let Some(seed) = seed {
        builder = builder.dangerously_set_rng_seed(seed);
    }
    let config = builder
        .build()
        .map_err(|error| TransportError::Certificate(error.to_string()))?;
    Ok(Arc::new(config))
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// A fingerprint that the peer's certificate has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    algorithm: &'static str,
    hexadecimal: String,
}

/// The hash functions of RFC 8122 that are still safe.
const HASHES: [(&str, &digest::Algorithm); 3] = [
    ("sha-256", &digest::SHA256),
    ("sha-384", &digest::SHA384),
    ("sha-512", &digest::SHA512),
];

impl Fingerprint {
    /// Parses `sha-256 AB:CD:..`; the case of letters does not matter.
    pub(crate) fn parse(text: &str) -> Result<Fingerprint> {
        let refuse = |expected| TransportError::RemoteParameter {
            what: "fingerprint",
            value: text.chars().take(200).collect(),
            expected,
        };
        let (name, value) = text
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| refuse("expected a hash function and colon-separated bytes"))?;
        let (algorithm, hash) = HASHES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .ok_or_else(|| refuse("expected sha-256, sha-384 or sha-512"))?;
        let hexadecimal = value.trim().to_ascii_uppercase();
        let is_byte =
            |part: &str| part.len() == 2 && part.bytes().all(|character| character.is_ascii_hexdigit());
        if hexadecimal.len() != hash.output_len * 3 - 1 || !hexadecimal.split(':').all(is_byte) {
            return Err(refuse(
                "expected as many colon-separated bytes as the hash function yields",
            ));
        }
        Ok(Fingerprint {
            algorithm,
            hexadecimal,
        })
    }

    /// Whether the DER-encoded certificate has this fingerprint.
    pub(crate) fn matches(&self, certificate_der: &[u8]) -> bool {
        HASHES
            .iter()
            .filter(|(name, _)| *name == self.algorithm)
            .any(|(_, hash)| hexadecimal(hash, certificate_der) == self.hexadecimal)
    }
}

fn hexadecimal(hash: &'static digest::Algorithm, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(hash.output_len * 3);
    for (index, byte) in digest::digest(hash, bytes).as_ref().iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        text.push_str(&format!("{byte:02X}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_fingerprint_matches_own_certificate() {
        let certificate = Certificate::generate().expect("certificate");
        let fingerprint = Fingerprint::parse(certificate.fingerprint()).expect("fingerprint");
        assert!(fingerprint.matches(&certificate.dtls().certificate));
        let lowercase = certificate.fingerprint().to_ascii_lowercase();
        assert!(
            Fingerprint::parse(&lowercase)
                .expect("lowercase")
                .matches(&certificate.dtls().certificate)
        );
    }

    #[test]
    fn other_certificates_do_not_match() {
        let ours = Certificate::generate().expect("certificate");
        let theirs = Certificate::generate().expect("certificate");
        let fingerprint = Fingerprint::parse(ours.fingerprint()).expect("fingerprint");
        assert!(!fingerprint.matches(&theirs.dtls().certificate));
    }

    #[test]
    fn malformed_fingerprints_are_refused() {
        for text in [
            "",
            "sha-256",
            "md5 00:11",
            "sha-256 00:11",
            "sha-256 zz",
            "sha-1 00",
            "sha-256 é",
        ] {
            assert!(Fingerprint::parse(text).is_err(), "{text}");
        }
    }
}
