//! Counters of one connection.

/// What a [`crate::Transport`] has seen so far; every number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportStatistics {
    /// Packets handed to [`crate::Transport::handle_datagram`].
    pub packets_received: u64,
    /// Bytes of those packets.
    pub bytes_received: u64,
    /// Packets queued for the network.
    pub packets_sent: u64,
    /// Bytes of those packets.
    pub bytes_sent: u64,
    /// RTP packets decrypted.
    pub rtp_packets_received: u64,
    /// RTP packets encrypted.
    pub rtp_packets_sent: u64,
    /// RTCP compounds decrypted.
    pub rtcp_packets_received: u64,
    /// RTCP compounds encrypted.
    pub rtcp_packets_sent: u64,
    /// Packets that are none of STUN, DTLS, RTP and RTCP, or are cut short.
    pub malformed_packets: u64,
    /// STUN packets that are not for this session or fail their integrity check.
    pub rejected_stun_packets: u64,
    /// DTLS packets from addresses that never passed a connectivity check, or before it was expected.
    pub rejected_dtls_packets: u64,
    /// SRTP and SRTCP packets that fail authentication or came before the keys.
    pub unauthenticated_packets: u64,
    /// SRTP and SRTCP packets seen before or older than the replay window.
    pub replayed_packets: u64,
    /// RTP and RTCP packets not sent because the connection was not up.
    pub not_connected_packets: u64,
    /// RTP and RTCP packets dropped because nobody drained the queue of packets or of events.
    pub overflowed_packets: u64,
    /// Data channel messages accepted for sending.
    pub messages_sent: u64,
    /// Messages of lossy channels that newer ones displaced.
    pub messages_displaced: u64,
    /// Data channel messages delivered.
    pub messages_received: u64,
    /// Incoming data channel messages refused: too large, or of an unknown kind.
    pub refused_messages: u64,
}
