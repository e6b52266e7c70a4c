//! The DTLS identity and crypto backend that all peers of this process share; each costs about a millisecond to make.

use std::sync::{Arc, OnceLock};

use str0m::config::{CryptoProvider, DtlsCert};

pub(crate) struct Identity {
    pub crypto: Arc<CryptoProvider>,
    pub certificate: DtlsCert,
}

static IDENTITY: OnceLock<Identity> = OnceLock::new();
static FINGERPRINT: OnceLock<String> = OnceLock::new();

pub(crate) fn identity() -> &'static Identity {
    IDENTITY.get_or_init(|| {
        let crypto = str0m::crypto::from_feature_flags();
        let certificate = crypto
            .dtls_provider
            .generate_certificate()
            .expect("aws-lc-rs generates certificates");
        Identity {
            crypto: Arc::new(crypto),
            certificate,
        }
    })
}

/// `sha-256 AB:CD:…` of the certificate that every peer of this process presents.
pub fn certificate_fingerprint() -> &'static str {
    FINGERPRINT.get_or_init(|| {
        let identity = identity();
        let mut rtc = str0m::RtcConfig::new()
            .set_crypto_provider(identity.crypto.clone())
            .set_dtls_cert(identity.certificate.clone())
            .build(std::time::Instant::now());
        rtc.direct_api().local_dtls_fingerprint().to_string()
    })
}
