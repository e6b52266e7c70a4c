//! Setting a connection up and ending it: ICE, then DTLS over its path, then the keys and SCTP.

use std::collections::VecDeque;
use std::time::Instant;

use super::{MAX_HELD_PACKETS, Transport};
use crate::dtls::{Dtls, DtlsOutput};
use crate::error::{Result, TransportError};
use crate::ice::Ice;
use crate::srtp;
use crate::statistics::TransportStatistics;
use crate::types::{Received, Transmit, TransportEvent};

/// What DTLS has said at once.
#[derive(Default)]
struct Said {
    connected: bool,
    data: bool,
    closed: bool,
}

impl Transport {
    pub(super) fn check_open(&self) -> Result<()> {
        match &self.over {
            Some(reason) => Err(TransportError::Closed(reason.clone())),
            None => Ok(()),
        }
    }

    /// Time never goes back, whatever the callers' clocks say.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.last_now = self.last_now.max(now);
        self.is_now_known = true;
    }

    /// Queues a packet for the nominated pair; without consent of the peer there is none.
    pub(super) fn transmit(&mut self, contents: Vec<u8>) {
        let Some(path) = self.ice.path() else {
            self.statistics.not_connected_packets += 1;
            return;
        };
        let transmit = Transmit {
            protocol: path.protocol,
            source: path.source,
            destination: path.destination,
            contents,
        };
        push_transmit(&mut self.transmits, &mut self.statistics, transmit);
    }

    pub(super) fn handle_stun(&mut self, received: &Received<'_>) -> bool {
        let is_authentic = self.ice.handle_stun(self.last_now, received);
        if is_authentic {
            self.after_ice();
        } else {
            self.statistics.rejected_stun_packets += 1;
        }
        is_authentic
    }

    /// Takes what ICE has to send and to say, and starts DTLS when there is a path.
    pub(super) fn after_ice(&mut self) {
        while let Some(transmit) = self.ice.poll_transmit() {
            push_transmit(&mut self.transmits, &mut self.statistics, transmit);
        }
        self.report_state();
        if self.ice.path().is_none() {
            return;
        }
        while let Some(packet) = self.held.pop_front() {
            self.transmit(packet);
        }
        self.start_dtls();
    }

    pub(super) fn report_state(&mut self) {
        if self.ice.state() != self.reported_state {
            self.reported_state = self.ice.state();
            self.events
                .push_back(TransportEvent::IceState(self.reported_state));
        }
    }

    pub(super) fn start_dtls(&mut self) {
        if self.dtls.is_some() {
            return;
        }
        if let Some((fingerprint, is_active)) = self.remote.clone() {
            self.dtls = Some(Dtls::new(
                &self.certificate,
                fingerprint,
                is_active,
                self.last_now,
            ));
            self.after_dtls(Ok(()));
        }
    }

    pub(super) fn handle_dtls(&mut self, received: &Received<'_>) {
        if !self.ice.is_verified(received.protocol, received.source) {
            self.statistics.rejected_dtls_packets += 1;
            return;
        }
        // A passive session may be needed before our own check of the pair has succeeded.
        self.start_dtls();
        let Some(dtls) = &mut self.dtls else {
            self.statistics.rejected_dtls_packets += 1;
            return;
        };
        let result = dtls.handle_packet(self.last_now, received.contents);
        self.statistics.rejected_dtls_packets += u64::from(result == Ok(false));
        if self.after_dtls(result.map(drop)) {
            self.ice.heard(self.last_now, received);
        }
    }

    /// Takes what DTLS has to send and to say; its errors end the connection. Whether there was data of the peer.
    pub(super) fn after_dtls(&mut self, result: std::result::Result<(), String>) -> bool {
        let said = match result.and_then(|()| self.drain_dtls()) {
            Ok(said) => said,
            Err(reason) => {
                self.fail(format!("DTLS failed: {reason}"));
                return false;
            }
        };
        if said.connected && !self.is_secure {
            self.is_secure = true;
            self.events.push_back(TransportEvent::Connected);
        }
        if said.closed {
            self.end("closed by the peer".to_owned());
        }
        said.data
    }

    fn drain_dtls(&mut self) -> std::result::Result<Said, String> {
        let Transport {
            dtls,
            ice,
            sctp,
            held,
            transmits,
            statistics,
            sender,
            receiver,
            last_now,
            ..
        } = self;
        let mut said = Said::default();
        let Some(dtls) = dtls else {
            return Ok(said);
        };
        let is_active = dtls.is_active();
        let mut failure = None;
        dtls.poll(&mut |output| match output {
            DtlsOutput::Packet(packet) => send_dtls(packet, ice, held, transmits, statistics),
            DtlsOutput::Data(data) => {
                sctp.handle_packet(*last_now, data);
                said.data = true;
            }
            DtlsOutput::Keys(profile, material) => {
                match srtp::from_keying_material(profile, material, is_active) {
                    Ok((outgoing, incoming)) => {
                        (*sender, *receiver) = (Some(outgoing), Some(incoming));
                    }
                    Err(error) => failure = Some(error.to_string()),
                }
            }
            // At once: the same packet may already carry the peer's first SCTP packet.
            DtlsOutput::Connected => {
                sctp.start(is_active);
                said.connected = true;
            }
            DtlsOutput::CloseNotify => said.closed = true,
        })?;
        failure.map_or(Ok(said), Err)
    }

    pub(super) fn fail(&mut self, reason: String) {
        if self.over.is_none() {
            log::debug!("connection failed: {reason}");
            self.events.push_back(TransportEvent::Failed(reason.clone()));
            self.end(reason);
        }
    }

    pub(super) fn end(&mut self, reason: String) {
        self.over = Some(reason);
        self.is_secure = false;
        self.sender = None;
        self.receiver = None;
        self.sctp.end();
        self.take_sctp_events();
        self.ice.close();
        self.report_state();
    }
}

fn push_transmit(
    transmits: &mut VecDeque<Transmit>,
    statistics: &mut TransportStatistics,
    transmit: Transmit,
) {
    statistics.packets_sent += 1;
    statistics.bytes_sent += transmit.contents.len() as u64;
    transmits.push_back(transmit);
}

/// Queues a DTLS packet, or holds it until there is a path.
pub(super) fn send_dtls(
    packet: &[u8],
    ice: &Ice,
    held: &mut VecDeque<Vec<u8>>,
    transmits: &mut VecDeque<Transmit>,
    statistics: &mut TransportStatistics,
) {
    match ice.path() {
        Some(path) => {
            let transmit = Transmit {
                protocol: path.protocol,
                source: path.source,
                destination: path.destination,
                contents: packet.to_vec(),
            };
            push_transmit(transmits, statistics, transmit);
        }
        None if held.len() < MAX_HELD_PACKETS => held.push_back(packet.to_vec()),
        None => {}
    }
}
