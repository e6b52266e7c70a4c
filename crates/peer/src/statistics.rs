//! What a peer has counted.

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub struct PeerStatistics {
    pub transport: TransportStatistics,
    pub senders: Vec<SenderStatistics>,
    pub receivers: Vec<ReceiverStatistics>,
}

/// The connection. Round trip, bandwidth and loss figures are renewed once a second.
#[derive(Debug, Clone, Default)]
pub struct TransportStatistics {
    /// new, checking, connected, disconnected, failed, closed.
    pub ice_state: &'static str,
    /// new, connecting, connected, closed, failed.
    pub dtls_state: &'static str,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Datagrams that were malformed or not for us.
    pub packets_discarded: u64,
    pub round_trip_time_s: Option<f64>,
    pub available_outgoing_bitrate_bps: Option<u64>,
    /// Addresses in use.
    pub local_candidate: Option<String>,
    pub remote_candidate: Option<String>,
    /// `udp local -> remote`.
    pub candidate_pairs_tried: Vec<String>,
    /// `URL: what came of it`, of each STUN and TURN server.
    pub ice_servers_tried: Vec<String>,
}

/// One outgoing stream: an audio sender, or a layer of a video sender.
#[derive(Debug, Clone, Default)]
pub struct SenderStatistics {
    pub mid: String,
    pub rid: Option<String>,
    pub ssrc: u32,
    pub codec: &'static str,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub frames_encoded: u64,
    pub frames_dropped: u64,
    pub key_frames_encoded: u64,
    pub frame_width: u32,
    pub frame_height: u32,
    pub target_bitrate_bps: u32,
    pub nack_count: u64,
    pub pli_count: u64,
    pub fir_count: u64,
    pub round_trip_time_s: Option<f64>,
    pub fraction_lost: Option<f64>,
}

/// One incoming stream.
#[derive(Debug, Clone, Default)]
pub struct ReceiverStatistics {
    pub mid: String,
    pub ssrc: u32,
    pub kind: &'static str,
    /// Empty until the first packet.
    pub codec: &'static str,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_lost: u64,
    pub jitter_s: f64,
    pub nack_count: u64,
    pub pli_count: u64,
    pub frames_decoded: u64,
    pub key_frames_decoded: u64,
    pub frames_dropped: u64,
    pub frame_width: u32,
    pub frame_height: u32,
    pub concealed_samples: u64,
    pub total_samples: u64,
    pub jitter_buffer_delay_s: f64,
    /// Linear, 0 to 1.
    pub audio_level: f64,
}
