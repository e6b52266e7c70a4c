//! Counters and snapshots.

use greenroom_transport::TransportStatistics;

/// What the whole unit has seen; every number only grows, except the last three.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SfuStatistics {
    /// Datagrams in.
    pub packets_received: u64,
    /// Datagrams out.
    pub packets_sent: u64,
    /// Of the datagrams in.
    pub bytes_received: u64,
    /// Of the datagrams out.
    pub bytes_sent: u64,
    /// Datagrams that are of no protocol, and RTP or RTCP that does not parse.
    pub packets_dropped_malformed: u64,
    /// STUN that names a transport and is not authentic.
    pub packets_dropped_stun: u64,
    /// DTLS from an address that ICE has not verified, or before it was expected.
    pub packets_dropped_dtls: u64,
    /// SRTP and SRTCP that fail authentication.
    pub packets_dropped_unauthenticated: u64,
    /// SRTP and SRTCP that came before.
    pub packets_dropped_replayed: u64,
    /// Datagrams of no transport, and RTP of no track.
    pub packets_dropped_unknown: u64,
    /// NACK messages of subscribers.
    pub nacks_received: u64,
    /// NACK messages to publishers.
    pub nacks_sent: u64,
    /// Key frame requests of subscribers.
    pub plis_received: u64,
    /// Key frame requests to publishers.
    pub plis_sent: u64,
    /// Messages of lossy data channels that newer ones displaced.
    pub messages_displaced: u64,
    /// Packets of data tracks to subscribers.
    pub data_track_packets_sent: u64,
    /// Those that a subscriber did not get: its channel was full, or not open.
    pub data_track_packets_dropped: u64,
    /// Transports that failed: no path, no DTLS handshake, another certificate than the description's.
    pub transports_failed: u64,
    /// Packets that a transport refused to send.
    pub send_errors: u64,
    /// Open now.
    pub transports: u64,
    /// Open now.
    pub up_tracks: u64,
    /// Open now.
    pub down_tracks: u64,
}

impl SfuStatistics {
    /// What a transport has refused.
    pub(crate) fn add_refused(&mut self, transport: &TransportStatistics) {
        self.packets_dropped_malformed += transport.malformed_packets;
        self.packets_dropped_stun += transport.rejected_stun_packets;
        self.packets_dropped_dtls += transport.rejected_dtls_packets;
        self.packets_dropped_unauthenticated += transport.unauthenticated_packets;
        self.packets_dropped_replayed += transport.replayed_packets;
    }
}

/// Several units' together.
impl std::ops::AddAssign for SfuStatistics {
    fn add_assign(&mut self, other: SfuStatistics) {
        let SfuStatistics {
            packets_received,
            packets_sent,
            bytes_received,
            bytes_sent,
            packets_dropped_malformed,
            packets_dropped_unknown,
            packets_dropped_stun,
            packets_dropped_dtls,
            packets_dropped_unauthenticated,
            packets_dropped_replayed,
            transports_failed,
            nacks_received,
            nacks_sent,
            plis_received,
            plis_sent,
            messages_displaced,
            data_track_packets_sent,
            data_track_packets_dropped,
            send_errors,
            transports,
            up_tracks,
            down_tracks,
        } = other;
        self.packets_received += packets_received;
        self.packets_sent += packets_sent;
        self.bytes_received += bytes_received;
        self.bytes_sent += bytes_sent;
        self.packets_dropped_malformed += packets_dropped_malformed;
        self.packets_dropped_unknown += packets_dropped_unknown;
        self.packets_dropped_stun += packets_dropped_stun;
        self.packets_dropped_dtls += packets_dropped_dtls;
        self.packets_dropped_unauthenticated += packets_dropped_unauthenticated;
        self.packets_dropped_replayed += packets_dropped_replayed;
        self.transports_failed += transports_failed;
        self.nacks_received += nacks_received;
        self.nacks_sent += nacks_sent;
        self.plis_received += plis_received;
        self.plis_sent += plis_sent;
        self.messages_displaced += messages_displaced;
        self.data_track_packets_sent += data_track_packets_sent;
        self.data_track_packets_dropped += data_track_packets_dropped;
        self.send_errors += send_errors;
        self.transports += transports;
        self.up_tracks += up_tracks;
        self.down_tracks += down_tracks;
    }
}

/// One layer of an up track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LayerStatistics {
    /// Its rid, if it has one.
    pub rid: Option<String>,
    /// Once known.
    pub ssrc: Option<u32>,
    /// Received, without duplicates.
    pub packets: u64,
    /// Of those packets.
    pub bytes: u64,
    /// Missing now.
    pub packets_lost: i64,
    /// Interarrival jitter.
    pub jitter_s: f64,
    /// 0 while unknown.
    pub width: u16,
    /// 0 while unknown.
    pub height: u16,
}

/// An up track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpTrackStatistics {
    /// Of the last packet; empty before the first.
    pub codec: String,
    /// Lowest first.
    pub layers: Vec<LayerStatistics>,
}

/// A down track.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DownTrackStatistics {
    /// Media packets, retransmissions not counted.
    pub packets_sent: u64,
    /// Of those packets, payload only.
    pub bytes_sent: u64,
    /// Packets sent again.
    pub retransmitted: u64,
    /// Key frame requests of the subscriber.
    pub plis: u64,
    /// Packets the subscriber asked for again.
    pub nacked: u64,
    /// Packets of a codec that the subscriber did not negotiate.
    pub packets_without_codec: u64,
    /// What is forwarded now.
    pub spatial_layer: Option<u8>,
    /// From the last receiver report, 0..=1.
    pub fraction_lost: f64,
    /// From the last receiver report.
    pub round_trip_s: Option<f64>,
}
