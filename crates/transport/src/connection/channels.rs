//! Data channels of a connection: messages in and out, and SCTP packets through DTLS (RFC 8261).

use super::Transport;
use super::handshake::send_dtls;
use crate::dtls::DtlsOutput;
use crate::error::Result;
use crate::sctp::SctpEvent;
use crate::types::{ChannelConfig, ChannelId, TransportEvent};

impl Transport {
    /// Opens a channel, before or after connecting. On a connection that is over
    /// [`TransportEvent::ChannelClosed`] follows at once.
    pub fn open_channel(&mut self, config: ChannelConfig) -> ChannelId {
        self.is_now_known = false;
        self.sctp.open_channel(config)
    }

    /// Closes a channel of either side once its queued messages are out;
    /// [`TransportEvent::ChannelClosed`] follows.
    pub fn close_channel(&mut self, id: ChannelId) {
        self.is_now_known = false;
        self.sctp.close_channel(id);
    }

    /// Queues one binary message. `false` means full: nothing was queued and
    /// [`TransportEvent::ChannelWritable`] follows. A lossy channel is never full: the oldest messages that
    /// wait make room. Allowed before the channel is open. The message
    /// leaves with the next [`Transport::handle_timeout`], which [`Transport::poll_timeout`] asks for
    /// at once, or with the next packet from the peer: many messages are sent together.
    ///
    /// # Errors
    /// [`TransportError::UnknownChannel`] and [`TransportError::MessageTooLarge`].
    pub fn send_message(&mut self, id: ChannelId, data: &[u8]) -> Result<bool> {
        self.is_now_known = false;
        let (is_queued, displaced) = self.sctp.send_message(id, data)?;
        self.statistics.messages_sent += u64::from(is_queued);
        self.statistics.messages_displaced += displaced;
        Ok(is_queued)
    }

    /// How many bytes wait on the channel, sent but unacknowledged ones included.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        self.sctp.buffered_bytes(id)
    }

    /// How many bytes wait on the channel for room in SCTP.
    pub fn queued_amount(&self, id: ChannelId) -> usize {
        self.sctp.queued_bytes(id)
    }

    /// Whether messages of the channel may get lost; not so for an unknown one.
    pub fn is_lossy(&self, id: ChannelId) -> bool {
        self.sctp.is_lossy(id)
    }

    /// Offers the peer to send this many bytes on all channels together before they are read, at most
    /// [`crate::RECEIVE_WINDOW_BYTES`]. 0 stops it a round trip later; what it was offered before still arrives.
    pub fn limit_receive_window(&mut self, bytes: u32) {
        self.is_now_known = false;
        self.sctp.limit_receive_window(bytes);
    }

    /// Moves the channels on: their packets go through DTLS, one record each. Done only when events
    /// or packets are asked for, so that a batch of packets or messages is worked off at once.
    pub(super) fn process_sctp(&mut self) {
        if self.sctp.has_work() && self.is_now_known && self.is_secure && self.over.is_none() {
            let Transport {
                dtls,
                ice,
                sctp,
                held,
                transmits,
                statistics,
                last_now,
                ..
            } = self;
            let mut failure = None;
            if let Some(dtls) = dtls {
                sctp.process(*last_now, &mut |packet| {
                    let sent = dtls.send(packet).and_then(|()| {
                        dtls.poll(&mut |output| {
                            if let DtlsOutput::Packet(packet) = output {
                                send_dtls(packet, ice, held, transmits, statistics);
                            }
                        })
                    });
                    failure = sent.err().or(failure.take());
                });
            }
            if let Some(reason) = failure {
                self.fail(format!("DTLS failed: {reason}"));
            }
        }
        self.take_sctp_events();
    }

    pub(super) fn take_sctp_events(&mut self) {
        while let Some(event) = self.sctp.poll_event() {
            let event = match event {
                SctpEvent::Open(id, label) => TransportEvent::ChannelOpen { id, label },
                SctpEvent::Message(id, data) => {
                    self.statistics.messages_received += 1;
                    TransportEvent::ChannelMessage { id, data }
                }
                SctpEvent::Closed(id) => TransportEvent::ChannelClosed(id),
                SctpEvent::Writable(id) => TransportEvent::ChannelWritable(id),
                SctpEvent::Refused => {
                    self.statistics.refused_messages += 1;
                    continue;
                }
            };
            self.events.push_back(event);
        }
    }
}
