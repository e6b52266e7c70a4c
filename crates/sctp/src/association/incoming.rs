//! Packets of the peer, chunk by chunk.

use std::time::Instant;

use bytes::Bytes;

use super::{Association, State};
use crate::AssociationError;
use crate::received::Arrival;
use crate::wire::{Chunk, Data, ForwardTsn, Packet, flag, kind};

impl Association {
    pub(super) fn handle_packet(&mut self, bytes: &Bytes, now: Instant) {
        let Some(packet) = Packet::parse(bytes) else {
            return;
        };
        // Only INIT comes without our tag (RFC 9260 section 8.5).
        let is_init = packet.is_init();
        if packet.verification_tag != if is_init { 0 } else { self.tag } {
            return;
        }
        let mut has_data = false;
        for chunk in packet.chunks() {
            if self.state == State::Closed || is_init != matches!(chunk, Chunk::Init(_)) {
                break;
            }
            has_data |= matches!(chunk, Chunk::Data(_));
            self.handle_chunk(chunk, now);
        }
        if has_data && self.state != State::Closed {
            let has_gaps = self.received.has_gaps();
            self.acknowledging.packet_arrived(now, has_gaps, &mut self.timers);
        }
    }

    fn handle_chunk(&mut self, chunk: Chunk, now: Instant) {
        match chunk {
            Chunk::Data(data) => self.handle_data(data),
            Chunk::Sack(sack) => self.handle_sack(&sack, now),
            Chunk::ForwardTsn(forward) => self.handle_forward(&forward),
            Chunk::Init(init) => self.handle_init(&init),
            Chunk::InitAck(init) => self.handle_init_ack(&init, now),
            Chunk::CookieEcho(cookie) => self.handle_cookie_echo(&cookie),
            Chunk::CookieAck => self.handle_cookie_ack(),
            Chunk::Heartbeat(info) => self.answer_heartbeat(&info),
            Chunk::Abort => self.lose(AssociationError::AssociationClosed),
            Chunk::Shutdown(cumulative) => self.handle_shutdown(cumulative, now),
            Chunk::ShutdownAck => self.handle_shutdown_ack(),
            Chunk::ShutdownComplete => self.handle_shutdown_complete(),
            Chunk::Reconfig(requests) => self.handle_reconfig(requests, now),
            Chunk::Ignored => {}
        }
    }

    fn answer_heartbeat(&mut self, info: &Bytes) {
        const WAITING: usize = 16;
        if self.is_alive() && self.control.len() < WAITING && info.len() < self.packet_bytes - 16 {
            let mut writer = self.writer();
            writer.chunk(kind::HEARTBEAT_ACK, 0, |value| value.extend_from_slice(info));
            self.control.push_back(writer.finish());
        }
    }

    /// Bytes that the peer is told it may send.
    pub(super) fn receive_window(&self) -> u32 {
        let most = self.config.receive_buffer_bytes.min(self.offered_bytes);
        most.saturating_sub(self.held_bytes())
    }

    /// Whether there is no room for what arrives.
    fn is_full(&self) -> bool {
        self.held_bytes() >= self.config.receive_buffer_bytes
    }

    fn held_bytes(&self) -> u32 {
        u32::try_from(self.received_bytes).unwrap_or(u32::MAX)
    }

    fn handle_data(&mut self, data: Data) {
        // The peer may send as soon as it has our cookie, before its COOKIE ACK is here.
        if !matches!(
            self.state,
            State::Established | State::CookieEchoed | State::ShutdownPending | State::ShutdownSent
        ) {
            return;
        }
        let is_next = data.tsn == self.received.cumulative().wrapping_add(1);
        if self.is_full() {
            // What is next may make a message whole, within reason; everything else has to come again.
            if !is_next {
                self.acknowledging.is_due = true;
                return;
            }
            let limit = 2 * self.config.receive_buffer_bytes as usize + self.packet_bytes;
            if self.received_bytes > limit {
                return self.abort(AssociationError::ReceiveBufferExhausted);
            }
        }
        match self.received.insert(data.tsn) {
            Arrival::New => {}
            Arrival::Duplicate | Arrival::Refused => {
                self.acknowledging.is_due = true;
                return;
            }
        }
        if !is_next || data.flags & flag::IMMEDIATE != 0 {
            self.acknowledging.is_due = true;
        }
        self.deliver(data);
        self.streams_may_be_reset();
    }

    fn deliver(&mut self, data: Data) {
        let id = data.stream;
        let stream = self.streams.entry(id).or_default();
        // Closed by us: the peer has not heard of it yet.
        if stream.is_closed {
            return;
        }
        let before = stream.reassembly.bytes();
        let limit = self.config.receive_message_bytes as usize;
        let is_within = stream.reassembly.insert(data, limit);
        self.received_bytes = self.received_bytes + stream.reassembly.bytes() - before;
        if !is_within {
            return self.abort(AssociationError::Protocol("a message is larger than agreed"));
        }
        self.announce_readable(id);
    }

    fn handle_forward(&mut self, forward: &ForwardTsn) {
        if !self.is_alive() {
            return;
        }
        self.acknowledging.is_due = true;
        self.received.advance_to(forward.cumulative);
        let ids: Vec<u16> = self.streams.keys().copied().collect();
        for id in ids {
            self.change_reassembly(id, |reassembly| reassembly.skip_unordered(forward.cumulative));
        }
        for (id, sequence) in &forward.skipped {
            self.change_reassembly(*id, |reassembly| reassembly.skip_ordered(*sequence));
        }
        self.streams_may_be_reset();
    }

    pub(super) fn change_reassembly(
        &mut self,
        id: u16,
        change: impl FnOnce(&mut crate::reassembly::Reassembly),
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let before = stream.reassembly.bytes();
        change(&mut stream.reassembly);
        self.received_bytes = self.received_bytes + stream.reassembly.bytes() - before;
        self.announce_readable(id);
    }

    /// Ends it and tells the peer.
    pub(super) fn abort(&mut self, reason: AssociationError) {
        let mut writer = self.writer();
        writer.chunk(kind::ABORT, 0, |_| {});
        self.lose(reason);
        self.control.push_back(writer.finish());
    }
}
