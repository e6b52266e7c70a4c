//! Where decoded media goes. Implementations must be quick, bounded, and never call back into the peer.

use greenroom_media::video::I420Frame;

/// Takes decoded sound.
pub trait AudioSink: Send + Sync {
    /// How many channels it can use: 2 makes the decoder keep stereo.
    fn channels(&self) -> usize;
    /// 10 ms at 48 kHz, interleaved.
    fn push_block(&self, pcm: &[i16], channels: usize);
    /// Nothing comes after this.
    fn end(&self);
}

/// Takes decoded pictures.
pub trait VideoSink: Send + Sync {
    /// `timestamp_us` grows with the sender's capture time; its zero is arbitrary.
    fn push_frame(&self, frame: &I420Frame, timestamp_us: i64);
    /// Nothing comes after this.
    fn end(&self);
}
