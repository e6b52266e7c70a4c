//! What str0m reports, carried to the part of the peer that it concerns.

use str0m::Event;
use str0m::bwe::BweKind;

use super::{Peer, PeerEvent};

impl Peer {
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::MediaData(data) => {
                let uptime = self.now.saturating_duration_since(self.started_at);
                let started = self.receiving.insert(&data, &self.jobs, self.now, uptime);
                self.events.extend(started.map(PeerEvent::ReceiverStarted));
            }
            Event::ChannelData(data) => {
                let number = self.channels.number(data.id);
                self.events
                    .extend(number.map(|number| PeerEvent::ChannelMessage(number, data.data)));
            }
            Event::ChannelOpen(id, label) => self.channel_opened(id, label),
            Event::ChannelClose(id) => self
                .events
                .extend(self.channels.closed(id).map(PeerEvent::ChannelClosed)),
            Event::IceConnectionStateChange(state) => {
                let changed = self.connection.ice_changed(state, self.now);
                self.events.extend(changed.map(PeerEvent::IceState));
            }
            Event::Connected => self.connection.dtls_connected = true,
            Event::Closed => self.fail("the remote closed the connection".into()),
            Event::KeyframeRequest(request) => self.sending.key_frame_requested(request),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.sending
                    .set_estimate(&mut self.rtc, estimate.as_u64(), self.now);
            }
            Event::PeerStats(statistics) => {
                let pair = statistics.selected_candidate_pair.as_ref();
                if let Some(round_trip) = pair.and_then(|pair| pair.current_round_trip_time) {
                    self.channels.set_round_trip(round_trip);
                }
                self.peer_stats = Some(statistics);
            }
            Event::MediaEgressStats(statistics) => self.sending.note_statistics(statistics),
            Event::MediaIngressStats(statistics) => self.receiving.note_statistics(statistics),
            _ => {}
        }
    }
}
