//! What signalling brings: candidate lines, credentials, fingerprints.
#![no_main]

use std::sync::OnceLock;
use std::time::Instant;

use greenroom_transport::{Certificate, RemoteParameters, Transport, TransportConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    static CERTIFICATE: OnceLock<std::sync::Arc<Certificate>> = OnceLock::new();
    let certificate = CERTIFICATE.get_or_init(|| Certificate::generate().expect("certificate"));
    let now = Instant::now();
    let mut transport = Transport::new(TransportConfig::new(certificate.clone()), now);
    let mut fields = text.splitn(4, '\n');
    let mut field = || fields.next().unwrap_or_default().to_owned();
    let parameters = RemoteParameters {
        ice_ufrag: field(),
        ice_pwd: field(),
        fingerprint: field(),
        dtls_active: text.len() % 2 == 0,
        ice_lite: text.len() % 3 == 0,
        max_message_size: text.len() as u32,
    };
    let _ = transport.set_remote(parameters, now);
    for line in field().lines() {
        let _ = transport.add_remote_candidate(line);
    }
    transport.handle_timeout(now);
    while transport.poll_transmit().is_some() {}
});
