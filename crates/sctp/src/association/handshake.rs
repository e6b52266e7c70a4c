//! How an association begins (RFC 9260 section 5): either side may, or both at once.

use std::time::Instant;

use bytes::Bytes;

use super::{Association, PeerInfo, State, Timer};
use crate::received::Received;
use crate::wire::{Init, PacketWriter, kind};
use crate::{AssociationError, Event};

impl Association {
    fn own_init(&self, cookie: Option<Bytes>) -> Init {
        Init {
            tag: self.tag,
            window_bytes: self.config.receive_buffer_bytes,
            tsn: self.in_flight.next_tsn(),
            cookie,
            can_forward: true,
            can_reset: true,
        }
    }

    fn adopt(&mut self, init: &Init) {
        self.peer = PeerInfo {
            tag: init.tag,
            can_forward: init.can_forward,
            can_reset: init.can_reset,
        };
        self.peer_window = init.window_bytes as usize;
        self.received = Received::starting_at(init.tsn);
        self.resetting.peer_starts_at(init.tsn);
    }

    pub(super) fn handle_init(&mut self, init: &Init) {
        // A peer that begins anew does so in a new DTLS connection.
        if !self.is_handshaking() {
            return;
        }
        // Once its INIT ACK is here, another INIT is its half of a collision and says the same.
        if self.state != State::CookieEchoed {
            self.adopt(init);
        }
        let mut writer = self.writer_for(init.tag);
        writer.init(&self.own_init(Some(self.cookie.clone())));
        self.control.push_back(writer.finish());
    }

    pub(super) fn handle_init_ack(&mut self, init: &Init, now: Instant) {
        if self.state != State::CookieWait {
            return;
        }
        let Some(cookie) = init.cookie.clone() else {
            return self.lose(AssociationError::Protocol("INIT ACK without a cookie"));
        };
        self.adopt(init);
        self.peer_cookie = cookie;
        self.state = State::CookieEchoed;
        self.timeouts_in_a_row = 0;
        self.wants_init = false;
        self.wants_cookie_echo = true;
        self.start_timer(Timer::Handshake, now);
    }

    pub(super) fn handle_cookie_echo(&mut self, cookie: &Bytes) {
        if self.peer.tag == 0 || *cookie != self.cookie || self.state == State::Closed {
            return;
        }
        let mut writer = self.writer();
        writer.chunk(kind::COOKIE_ACK, 0, |_| {});
        self.control.push_back(writer.finish());
        self.establish();
    }

    pub(super) fn handle_cookie_ack(&mut self) {
        if self.state == State::CookieEchoed {
            self.establish();
        }
    }

    fn establish(&mut self) {
        if !self.is_handshaking() {
            return;
        }
        self.state = State::Established;
        self.timeouts_in_a_row = 0;
        self.wants_init = false;
        self.wants_cookie_echo = false;
        self.timers.stop(Timer::Handshake);
        self.events.push_back(Event::Connected);
    }

    /// INIT and COOKIE ECHO, when it is time for them.
    pub(super) fn write_handshake(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        if std::mem::take(&mut self.wants_init) {
            let mut writer = self.writer_for(0);
            writer.init(&self.own_init(None));
            packets.push(writer.finish());
            self.start_timer(Timer::Handshake, now);
        }
        if std::mem::take(&mut self.wants_cookie_echo) {
            let mut writer = self.writer();
            writer.chunk(kind::COOKIE_ECHO, 0, |value| {
                value.extend_from_slice(&self.peer_cookie)
            });
            packets.push(writer.finish());
            self.start_timer(Timer::Handshake, now);
        }
    }

    /// A packet for the peer.
    pub(super) fn writer(&self) -> PacketWriter {
        self.writer_for(self.peer.tag)
    }

    fn writer_for(&self, tag: u32) -> PacketWriter {
        PacketWriter::new(tag, self.packet_bytes)
    }
}
