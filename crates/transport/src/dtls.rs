//! The DTLS session: handshake, certificate check, keys for SRTP and the carrier of SCTP.

use std::fmt;
use std::time::Instant;

use dimpl::{Output, ProtocolVersion};

use crate::certificate::{Certificate, Fingerprint};
use crate::srtp::Profile;

/// Larger than any record of the configured packet size and than any the peer can send in one packet.
const BUFFER_BYTES: usize = 4096;
const RECORD_HEADER_BYTES: usize = 13;
const HANDSHAKE_RECORD: u8 = 22;
/// DTLS 1.0 and 1.2 in record headers; 1.3 pretends to be 1.2.
const RECORD_VERSIONS: [[u8; 2]; 2] = [[254, 255], [254, 253]];
const CLIENT_HELLO: u8 = 1;

/// What came out of the session.
pub(crate) enum DtlsOutput<'a> {
    /// A packet for the peer.
    Packet(&'a [u8]),
    /// The master keys of SRTP.
    Keys(Profile, &'a [u8]),
    /// The handshake is complete and the certificate is the right one.
    Connected,
    /// Application data: an SCTP packet.
    Data(&'a [u8]),
    /// The peer said goodbye.
    CloseNotify,
}

/// One DTLS session.
pub(crate) struct Dtls {
    session: dimpl::Dtls,
    expected: Fingerprint,
    is_active: bool,
    is_certificate_verified: bool,
    deadline: Option<Instant>,
    buffer: Vec<u8>,
}

impl Dtls {
    /// A session that starts at once when active, at the first packet otherwise.
    pub(crate) fn new(
        certificate: &Certificate,
        expected: Fingerprint,
        is_active: bool,
        now: Instant,
    ) -> Dtls {
        // As server the peer's offer decides. As client we only offer 1.2, which everybody speaks: the
        // library's offer of both versions names a key exchange it cannot do in 1.2.
        let new = if is_active {
            dimpl::Dtls::new_12
        } else {
            dimpl::Dtls::new_auto
        };
        let mut session = new(certificate.config(), certificate.dtls(), now);
        session.set_active(is_active);
        Dtls {
            session,
            expected,
            is_active,
            is_certificate_verified: false,
            deadline: None,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.is_active
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes a packet of the peer; an error is the end of the session. `Ok(false)` is rubbish.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Result<bool, String> {
        self.handle_timeout(now)?;
        // Until the version is agreed on the library keeps what it cannot read yet and gives up when
        // there is too much of it, so only what looks like the start of a handshake gets there.
        if self.session.protocol_version().is_none() && !starts_client_hello(packet) {
            return Ok(false);
        }
        self.session
            .handle_packet(packet)
            .map(|()| true)
            .map_err(|error| error.to_string())
    }

    /// Lets time pass: retransmissions and the end of an unanswered handshake.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Result<(), String> {
        self.session
            .handle_timeout(now)
            .map_err(|error| error.to_string())
    }

    /// Queues application data; it comes out of [`Dtls::poll`] as packets.
    pub(crate) fn send(&mut self, data: &[u8]) -> Result<(), String> {
        self.session
            .send_application_data(data)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    pub(crate) fn close(&mut self) {
        if let Err(error) = self.session.close() {
            log::debug!("DTLS session ends without close_notify: {error}");
        }
    }

    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.session.protocol_version()
    }

    /// Hands everything that is ready to `sink`.
    pub(crate) fn poll(&mut self, sink: &mut dyn FnMut(DtlsOutput<'_>)) -> Result<(), String> {
        loop {
            match self.session.poll_output(&mut self.buffer) {
                Output::Timeout(deadline) => {
                    self.deadline = Some(deadline);
                    return Ok(());
                }
                Output::BufferTooSmall { needed } => self.buffer.resize(needed, 0),
                Output::Packet(packet) => sink(DtlsOutput::Packet(packet)),
                Output::PeerCert(certificate) => {
                    if !self.expected.matches(certificate) {
                        return Err(
                            "the peer's certificate does not have the announced fingerprint".to_owned()
                        );
                    }
                    self.is_certificate_verified = true;
                }
                // Keys and data of a peer without the right certificate are never used.
                _ if !self.is_certificate_verified => {
                    return Err("the peer has shown no certificate".to_owned());
                }
                Output::KeyingMaterial(material, profile) => match Profile::from_dtls(profile) {
                    Some(profile) => sink(DtlsOutput::Keys(profile, &material)),
                    None => return Err(format!("SRTP profile {profile} is not supported")),
                },
                Output::Connected => sink(DtlsOutput::Connected),
                Output::ApplicationData(data) => sink(DtlsOutput::Data(data)),
                Output::CloseNotify => sink(DtlsOutput::CloseNotify),
                _ => {}
            }
        }
    }
}

/// Whether the packet is a plaintext handshake record with (a part of) a ClientHello.
fn starts_client_hello(packet: &[u8]) -> bool {
    let Some((header, fragment)) = packet.split_at_checked(RECORD_HEADER_BYTES) else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
    header[0] == HANDSHAKE_RECORD
        && RECORD_VERSIONS.contains(&[header[1], header[2]])
        && header[3..5] == [0, 0]
        && length <= fragment.len()
        && fragment.first() == Some(&CLIENT_HELLO)
}

impl fmt::Debug for Dtls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Dtls")
            .field("is_active", &self.is_active)
            .field("version", &self.version())
            .field("is_certificate_verified", &self.is_certificate_verified)
            .finish_non_exhaustive()
    }
}
