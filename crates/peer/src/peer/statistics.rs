//! Statistics of a peer and of its transport.

use str0m::IceConnectionState;

use super::{Peer, State};
use crate::connection::ice_state_name;
use crate::{PeerStatistics, TransportStatistics};

impl Peer {
    /// Everything counted so far.
    pub fn statistics(&self) -> PeerStatistics {
        PeerStatistics {
            transport: self.transport_statistics(),
            senders: self.sending.statistics(&self.medias),
            receivers: self.receiving.statistics(&self.medias),
        }
    }

    fn transport_statistics(&self) -> TransportStatistics {
        let stats = self.peer_stats.as_ref();
        let pair_rtt =
            stats.and_then(|stats| stats.selected_candidate_pair.as_ref()?.current_round_trip_time);
        let round_trip_time = pair_rtt.or(stats.and_then(|stats| stats.rtt));
        TransportStatistics {
            ice_state: match self.state {
                State::Open => ice_state_name(self.connection.ice_state),
                State::Failed => "failed",
                State::Closed => "closed",
            },
            dtls_state: self.dtls_state(),
            bytes_sent: self.counters.bytes_sent,
            bytes_received: self.counters.bytes_received,
            packets_sent: self.counters.packets_sent,
            packets_received: self.counters.packets_received,
            packets_discarded: self.counters.packets_discarded,
            round_trip_time_s: round_trip_time.map(|rtt| rtt.as_secs_f64()),
            available_outgoing_bitrate_bps: stats
                .and_then(|stats| stats.bwe_tx)
                .map(|bitrate| bitrate.as_u64()),
            local_candidate: self.path.map(|(local, _)| local.to_string()),
            remote_candidate: self.path.map(|(_, remote)| remote.to_string()),
            candidate_pairs_tried: self.connection.pairs_tried(),
            ice_servers_tried: self.servers.report(),
        }
    }

    fn dtls_state(&self) -> &'static str {
        match self.state {
            State::Failed => "failed",
            State::Closed => "closed",
            State::Open if self.connection.dtls_connected => "connected",
            State::Open
                if matches!(
                    self.connection.ice_state,
                    IceConnectionState::Connected | IceConnectionState::Completed
                ) =>
            {
                "connecting"
            }
            State::Open => "new",
        }
    }
}
