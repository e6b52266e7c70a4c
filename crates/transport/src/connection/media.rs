//! RTP and RTCP through a connection: protected on the way out, opened on the way in, queues bounded.

use super::Transport;
use crate::error::Result;
use crate::srtp;
use crate::types::{Received, TransportEvent};

/// Media packets beyond this many that nobody has drained are dropped and counted.
const MAX_QUEUED_PACKETS: usize = 16_384;
/// Received media beyond this many events that nobody has drained is dropped and counted.
const MAX_QUEUED_EVENTS: usize = 16_384;

impl Transport {
    /// Encrypts and queues one RTP packet; when not connected it is counted and dropped.
    ///
    /// # Errors
    /// [`TransportError::Packet`](crate::TransportError::Packet) when it is malformed.
    pub fn send_rtp(&mut self, packet: &[u8]) -> Result<()> {
        let (true, Some(sender)) = (self.transmits.len() < MAX_QUEUED_PACKETS, &mut self.sender) else {
            self.count_unsent();
            return Ok(());
        };
        let contents = sender.protect_rtp(packet)?;
        self.statistics.rtp_packets_sent += 1;
        self.transmit(contents);
        Ok(())
    }

    /// As [`Transport::send_rtp`], without a copy: the packet becomes the datagram. Give it room for
    /// [`crate::RTP_OVERHEAD_BYTES`] more.
    ///
    /// # Errors
    /// [`TransportError::Packet`](crate::TransportError::Packet) when it is malformed.
    pub fn send_rtp_in_place(&mut self, mut packet: Vec<u8>) -> Result<()> {
        let (true, Some(sender)) = (self.transmits.len() < MAX_QUEUED_PACKETS, &mut self.sender) else {
            self.count_unsent();
            return Ok(());
        };
        sender.protect_rtp_in_place(&mut packet)?;
        self.statistics.rtp_packets_sent += 1;
        self.transmit(packet);
        Ok(())
    }

    /// Encrypts and queues one compound RTCP packet; when not connected it is counted and dropped.
    ///
    /// # Errors
    /// [`TransportError::Packet`](crate::TransportError::Packet) when it is malformed.
    pub fn send_rtcp(&mut self, compound: &[u8]) -> Result<()> {
        let (true, Some(sender)) = (self.transmits.len() < MAX_QUEUED_PACKETS, &mut self.sender) else {
            self.count_unsent();
            return Ok(());
        };
        let contents = sender.protect_rtcp(compound)?;
        self.statistics.rtcp_packets_sent += 1;
        self.transmit(contents);
        Ok(())
    }

    pub(super) fn handle_rtp(&mut self, received: &Received<'_>) {
        if self.events.len() >= MAX_QUEUED_EVENTS {
            self.statistics.overflowed_packets += 1;
            return;
        }
        let opened = match &mut self.receiver {
            Some(receiver) => receiver.open_rtp(received.contents),
            None => Err(srtp::Refused::Unauthenticated),
        };
        match opened {
            Ok(packet) => {
                self.statistics.rtp_packets_received += 1;
                self.ice.heard(self.last_now, received);
                self.events.push_back(TransportEvent::Rtp(packet));
            }
            Err(refused) => self.count_refused(refused),
        }
    }

    pub(super) fn handle_rtcp(&mut self, received: &Received<'_>) {
        if self.events.len() >= MAX_QUEUED_EVENTS {
            self.statistics.overflowed_packets += 1;
            return;
        }
        let opened = match &mut self.receiver {
            Some(receiver) => receiver.open_rtcp(received.contents),
            None => Err(srtp::Refused::Unauthenticated),
        };
        match opened {
            Ok(compound) => {
                self.statistics.rtcp_packets_received += 1;
                self.ice.heard(self.last_now, received);
                self.events.push_back(TransportEvent::Rtcp(compound));
            }
            Err(refused) => self.count_refused(refused),
        }
    }

    fn count_refused(&mut self, refused: srtp::Refused) {
        let counter = match refused {
            srtp::Refused::Malformed => &mut self.statistics.malformed_packets,
            srtp::Refused::Unauthenticated => &mut self.statistics.unauthenticated_packets,
            srtp::Refused::Replayed => &mut self.statistics.replayed_packets,
        };
        *counter += 1;
    }

    fn count_unsent(&mut self) {
        if self.sender.is_some() && self.is_secure {
            self.statistics.overflowed_packets += 1;
        } else {
            self.statistics.not_connected_packets += 1;
        }
    }
}
