//! RTP and RTCP through a connection: protected on the way out, opened on the way in, queues bounded.

use super::Transport;
use crate::buffer_pool::BufferPool;
use crate::error::Result;
use crate::srtp;
use crate::types::{Received, TransportEvent};

/// Media packets beyond this many that nobody has drained are dropped and counted.
const MAX_QUEUED_PACKETS: usize = 16_384;
/// Received media beyond this many events that nobody has drained is dropped and counted.
const MAX_QUEUED_EVENTS: usize = 16_384;

type Open = fn(&mut srtp::Receiver, &[u8], &mut Vec<u8>) -> std::result::Result<(), srtp::Refused>;

impl Transport {
    /// Encrypts and queues one RTP packet: it becomes the datagram, so give it room for
    /// [`crate::RTP_OVERHEAD_BYTES`] more. When not connected it is counted and dropped.
    ///
    /// # Errors
    /// [`TransportError::Packet`](crate::TransportError::Packet) when it is malformed.
    pub fn send_rtp(&mut self, mut packet: Vec<u8>) -> Result<()> {
        let (true, Some(sender)) = (self.transmits.len() < MAX_QUEUED_PACKETS, &mut self.sender) else {
            self.count_unsent();
            return Ok(());
        };
        sender.protect_rtp(&mut packet)?;
        self.statistics.rtp_packets_sent += 1;
        self.transmit(packet);
        Ok(())
    }

    /// As [`Transport::send_rtp`], for one compound RTCP packet.
    ///
    /// # Errors
    /// [`TransportError::Packet`](crate::TransportError::Packet) when it is malformed.
    pub fn send_rtcp(&mut self, mut compound: Vec<u8>) -> Result<()> {
        let (true, Some(sender)) = (self.transmits.len() < MAX_QUEUED_PACKETS, &mut self.sender) else {
            self.count_unsent();
            return Ok(());
        };
        sender.protect_rtcp(&mut compound)?;
        self.statistics.rtcp_packets_sent += 1;
        self.transmit(compound);
        Ok(())
    }

    pub(super) fn handle_rtp(&mut self, received: &Received<'_>, buffers: &mut BufferPool) {
        if let Some(packet) = self.open(received, buffers, srtp::Receiver::open_rtp) {
            self.statistics.rtp_packets_received += 1;
            self.events.push_back(TransportEvent::Rtp(packet));
        }
    }

    pub(super) fn handle_rtcp(&mut self, received: &Received<'_>, buffers: &mut BufferPool) {
        if let Some(compound) = self.open(received, buffers, srtp::Receiver::open_rtcp) {
            self.statistics.rtcp_packets_received += 1;
            self.events.push_back(TransportEvent::Rtcp(compound));
        }
    }

    /// The plain packet in a buffer of the pool; None when it is refused.
    fn open(&mut self, received: &Received<'_>, buffers: &mut BufferPool, open: Open) -> Option<Vec<u8>> {
        if self.events.len() >= MAX_QUEUED_EVENTS {
            self.statistics.overflowed_packets += 1;
            return None;
        }
        let Some(receiver) = &mut self.receiver else {
            self.count_refused(srtp::Refused::Unauthenticated);
            return None;
        };
        let mut packet = buffers.take();
        match open(receiver, received.contents, &mut packet) {
            Ok(()) => {
                self.ice.heard(self.last_now, received);
                Some(packet)
            }
            Err(refused) => {
                buffers.give_back(packet);
                self.count_refused(refused);
                None
            }
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
