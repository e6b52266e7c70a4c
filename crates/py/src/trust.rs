//! Whose certificates TLS to TURN servers takes.

use std::sync::{Arc, OnceLock};

use greenroom_turn::{CertificateDer, RootCertStore, Trust};

/// The given roots (DER), or those of this machine.
pub fn trust(certificates: Option<Vec<Vec<u8>>>, verify: bool) -> Trust {
    if !verify {
        return Trust::Anyone;
    }
    Trust::Roots(match certificates {
        Some(certificates) => store(certificates.into_iter().map(CertificateDer::from).collect()),
        None => of_this_machine(),
    })
}

fn of_this_machine() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            log::warn!("certificates of this machine: {error}");
        }
        store(loaded.certs)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

fn store(certificates: Vec<CertificateDer<'static>>) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (_, refused) = roots.add_parsable_certificates(certificates);
    if refused > 0 {
        log::debug!("{refused} trusted certificates can't be read and are left out");
    }
    Arc::new(roots)
}
