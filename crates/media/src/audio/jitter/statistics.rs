//! Counters of a jitter buffer, in the terms of the WebRTC statistics model.

/// All counters only grow; "samples" are per channel at 48 kHz.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct JitterStatistics {
    /// Packets handed in, of every kind.
    pub packets_received: u64,
    /// Packets that arrived after their place was played.
    pub packets_late: u64,
    /// Packets that were here already.
    pub packets_duplicate: u64,
    /// Packets dropped because they are no Opus or because the buffer was full.
    pub packets_discarded: u64,
    /// Packets that were decoded.
    pub packets_decoded: u64,
    /// Packets rebuilt from the redundancy of the next one.
    pub packets_recovered: u64,
    /// Samples handed out, concealed and silent ones included.
    pub total_samples: u64,
    /// Samples made up because a packet was lost or late.
    pub concealed_samples: u64,
    /// The part of `concealed_samples` that was silence.
    pub silent_concealed_samples: u64,
    /// Times concealment began.
    pub concealment_events: u64,
    /// Samples put in to grow the delay.
    pub inserted_samples: u64,
    /// Samples taken out to shrink the delay.
    pub removed_samples: u64,
    /// Sum over `emitted_samples` of the time each spent here, in seconds.
    pub buffer_delay_seconds: f64,
    /// Samples of decoded audio handed out.
    pub emitted_samples: u64,
    /// Times a new stream (sequence or timestamp jump) was taken up.
    pub resets: u64,
    /// Delay wanted now, in ms.
    pub target_delay_ms: f64,
    /// Delay as of the last pull of decoded sound, in ms: between the earliest a sample could have been played and when it was.
    pub current_delay_ms: f64,
}
