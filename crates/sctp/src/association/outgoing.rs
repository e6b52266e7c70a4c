//! From what is to be sent to packets.

use std::time::Instant;

use bytes::Bytes;

use super::{Association, State, Timer};
use crate::sent::{Limit, Sent};
use crate::wire::{DATA_HEADER_BYTES, HEADER_BYTES, PacketWriter, flag, padded};

/// Messages are not cut to fill less room than this.
const LEAST_PIECE_BYTES: usize = 200;

impl Association {
    /// Everything that may be sent now.
    pub(super) fn packets(&mut self, now: Instant) -> Vec<Bytes> {
        let mut packets: Vec<Bytes> = self.control.drain(..).collect();
        self.write_handshake(now, &mut packets);
        if !self.is_alive() {
            return packets;
        }
        self.write_reset(now, &mut packets);
        self.write_shutdown(now, &mut packets);
        let mut writer = self.writer();
        self.write_sack(&mut writer);
        self.write_forward(now, &mut writer);
        self.write_lost(now, &mut writer, &mut packets);
        self.write_new(now, &mut writer, &mut packets);
        if !writer.is_empty() {
            packets.push(writer.finish());
        }
        packets
    }

    fn may_send_data(&self) -> bool {
        matches!(
            self.state,
            State::Established | State::ShutdownPending | State::ShutdownReceived
        )
    }

    /// Makes room for a chunk, in a new packet when it has to be.
    fn reserve(&mut self, length: usize, writer: &mut PacketWriter, packets: &mut Vec<Bytes>) {
        if writer.len() + padded(length) > self.packet_bytes && !writer.is_empty() {
            let full = std::mem::replace(writer, self.writer());
            packets.push(full.finish());
            self.next_packet += 1;
        }
    }

    fn write_forward(&mut self, now: Instant, writer: &mut PacketWriter) {
        if !std::mem::take(&mut self.wants_forward) {
            return;
        }
        let room = (self.packet_bytes - writer.len()).saturating_sub(8) / 4;
        if let Some((cumulative, mut skipped)) = self.in_flight.forward() {
            skipped.truncate(room);
            writer.forward_tsn(cumulative, &skipped);
            self.timers
                .set_if_stopped(Timer::Data, now + self.round_trip.timeout());
        }
    }

    fn write_lost(&mut self, now: Instant, writer: &mut PacketWriter, packets: &mut Vec<Bytes>) {
        if !self.may_send_data() {
            return;
        }
        while let Some(tsn) = self.in_flight.next_lost() {
            let Some(sent) = self.in_flight.get(tsn) else {
                return;
            };
            let length = sent.payload.len();
            let is_first = self.in_flight.bytes() == 0;
            if !is_first && self.in_flight.bytes() + length > self.congestion.window() {
                self.is_window_used = true;
                return;
            }
            self.reserve(DATA_HEADER_BYTES + length, writer, packets);
            if let Some(sent) = self.in_flight.get(tsn) {
                // What was lost once is better not waited for long (RFC 7053).
                let flags = sent.flags | flag::IMMEDIATE;
                writer.data(
                    flags,
                    tsn,
                    (sent.stream, sent.sequence),
                    sent.protocol,
                    &sent.payload,
                );
            }
            self.in_flight.sent_again(tsn, now, self.next_packet);
            self.data_was_sent(now);
        }
    }

    fn write_new(&mut self, now: Instant, writer: &mut PacketWriter, packets: &mut Vec<Bytes>) {
        if !self.may_send_data() {
            return;
        }
        self.leave_idle(now);
        loop {
            let most = self.piece_bytes(writer);
            let Some(length) = self.queue.peek(most) else {
                break;
            };
            if !self.has_window_for(length) {
                break;
            }
            self.reserve(DATA_HEADER_BYTES + length, writer, packets);
            let Some(mut piece) = self.queue.take(most, now) else {
                break;
            };
            if !self.peer.can_forward {
                piece.limit = Limit::Never;
            }
            let place = (piece.stream, piece.sequence);
            let tsn = self.in_flight.next_tsn();
            writer.data(piece.flags, tsn, place, piece.protocol, &piece.payload);
            self.in_flight.push(Sent::new(
                piece.flags,
                place,
                piece.protocol,
                piece.payload,
                piece.message,
                piece.limit,
                now,
                self.next_packet,
            ));
            self.data_was_sent(now);
        }
        self.next_packet += 1;
    }

    /// How long the next piece may be: what is left of the packet, unless that is little.
    fn piece_bytes(&self, writer: &PacketWriter) -> usize {
        let left = self.packet_bytes.saturating_sub(writer.len() + DATA_HEADER_BYTES) & !3;
        if left >= LEAST_PIECE_BYTES {
            left
        } else {
            self.packet_bytes - HEADER_BYTES - DATA_HEADER_BYTES
        }
    }

    /// Whether a piece of this length may be sent.
    fn has_window_for(&mut self, length: usize) -> bool {
        let on_its_way = self.in_flight.bytes();
        // One chunk may always be on its way, to learn of a window that opens.
        if on_its_way == 0 {
            self.is_window_used = false;
            return true;
        }
        self.is_window_used = on_its_way + length > self.congestion.window();
        !self.is_window_used && on_its_way + length <= self.peer_window
    }

    fn data_was_sent(&mut self, now: Instant) {
        self.last_sent_at = Some(now);
        self.timers
            .set_if_stopped(Timer::Data, now + self.round_trip.timeout());
    }

    fn leave_idle(&mut self, now: Instant) {
        let timeout = self.round_trip.timeout();
        let was_idle = self
            .last_sent_at
            .is_some_and(|last| now.saturating_duration_since(last) > timeout);
        if was_idle && self.in_flight.is_empty() && !self.queue.is_empty() {
            self.congestion.was_idle();
            self.last_sent_at = Some(now);
        }
    }
}
