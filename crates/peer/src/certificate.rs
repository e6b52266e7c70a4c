//! The DTLS identity and crypto backend that all peers of this process share; each costs about a millisecond to make.

use std::sync::{Arc, OnceLock};

use str0m::config::{CryptoProvider, DtlsCert};

use crate::repeatable_dtls::RepeatableDtls;

pub(crate) struct Identity {
    crypto: Arc<CryptoProvider>,
    repeatable_crypto: Arc<CryptoProvider>,
    pub certificate: DtlsCert,
    fingerprint: String,
}

static IDENTITY: OnceLock<Identity> = OnceLock::new();

pub(crate) fn identity() -> &'static Identity {
    IDENTITY.get_or_init(|| {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .expect("aws-lc-rs generates certificates");
        Identity::new(crypto, certificate)
    })
}

/// Present this certificate (both parts DER) instead of one of our own; call it before the first peer is made.
///
/// Later calls change nothing.
pub fn share_certificate(certificate: Vec<u8>, private_key: Vec<u8>) {
    IDENTITY.get_or_init(|| {
        Identity::new(
            str0m::crypto::from_feature_flags(),
            DtlsCert {
                certificate,
                private_key,
            },
        )
    });
}

/// `sha-256 AB:CD:…` of the certificate that every peer of this process presents.
pub fn certificate_fingerprint() -> &'static str {
    &identity().fingerprint
}

impl Identity {
    /// `repeatable`: for simulations.
    pub fn crypto(&self, repeatable: bool) -> Arc<CryptoProvider> {
        Arc::clone(if repeatable {
            &self.repeatable_crypto
        } else {
            &self.crypto
        })
    }

    fn new(crypto: CryptoProvider, certificate: DtlsCert) -> Self {
        let digest = crypto.sha256_provider.sha256(&certificate.certificate);
        let octets: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
        let repeatable_crypto = CryptoProvider {
            dtls_provider: &RepeatableDtls,
            ..crypto.clone()
        };
        Identity {
            crypto: Arc::new(crypto),
            repeatable_crypto: Arc::new(repeatable_crypto),
            certificate,
            fingerprint: format!("sha-256 {}", octets.join(":")),
        }
    }
}
