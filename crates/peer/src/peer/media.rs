//! Senders and receivers of a peer: media in, and sinks for what comes out.

use std::sync::Arc;
use std::time::Instant;

use greenroom_e2ee::FrameCryptor;
use greenroom_media::video::I420Frame;

use super::{Peer, State};
use crate::{AudioSenderConfig, AudioSink, ReceiverConfig, Result, VideoSenderConfig, VideoSink};

impl Peer {
    /// Encode and send what [`Peer::push_audio`] brings for this mid.
    pub fn add_audio_sender(&mut self, mid: &str, config: AudioSenderConfig, now: Instant) -> Result<()> {
        self.open()?;
        self.sending
            .add_audio(&mut self.rtc, &mut self.medias, mid, config)?;
        self.settle(now);
        Ok(())
    }

    /// Encode and send what [`Peer::push_video`] brings for this mid.
    pub fn add_video_sender(&mut self, mid: &str, config: VideoSenderConfig, now: Instant) -> Result<()> {
        self.open()?;
        self.next_owner += 1;
        self.sending
            .add_video(&mut self.rtc, &mut self.medias, mid, self.next_owner, config)?;
        self.settle(now);
        Ok(())
    }

    pub fn set_sender_muted(&mut self, mid: &str, muted: bool, now: Instant) -> Result<()> {
        self.open()?;
        let sending = self.connection.connected;
        self.sending
            .set_muted(&mut self.rtc, &self.jobs, mid, muted, sending, now)?;
        self.settle(now);
        Ok(())
    }

    pub fn set_layer_active(&mut self, mid: &str, rid: &str, active: bool, now: Instant) -> Result<()> {
        self.open()?;
        self.sending.set_layer_active(&mut self.rtc, mid, rid, active)?;
        self.settle(now);
        Ok(())
    }

    /// Does nothing for an unknown mid.
    pub fn remove_sender(&mut self, mid: &str, now: Instant) {
        self.sending.remove(&mut self.rtc, &mut self.medias, mid);
        self.touch(now);
    }

    /// Interleaved PCM drained from the sender's source, any length.
    pub fn push_audio(&mut self, mid: &str, pcm: &[i16], rate_hz: u32, channels: usize, now: Instant) {
        if self.state != State::Open {
            return;
        }
        let sending = self.connection.connected;
        if let Err(error) =
            self.sending
                .push_audio(&mut self.rtc, mid, (pcm, rate_hz, channels), sending, now)
        {
            log::warn!("mid {mid}: {error}");
        }
        if sending {
            self.touch(now);
        }
    }

    /// A captured picture, upright.
    pub fn push_video(&mut self, mid: &str, frame: I420Frame, timestamp_us: i64, now: Instant) {
        if self.state == State::Open {
            let sending = self.connection.connected;
            self.sending
                .push_video(&self.jobs, mid, frame, timestamp_us, sending, now);
            self.take_results(now);
        }
    }

    /// Expect a stream. A receiver that the mid has already ends.
    pub fn add_receiver(&mut self, mid: &str, config: ReceiverConfig, now: Instant) -> Result<()> {
        self.open()?;
        self.next_owner += 1;
        self.receiving
            .add(&mut self.rtc, &mut self.medias, mid, self.next_owner, config)?;
        self.settle(now);
        Ok(())
    }

    /// Decrypt what arrives for the receiver of this id; None takes it as it is. Nothing for an unknown id.
    pub fn set_receiver_cryptor(&mut self, receiver_id: u64, cryptor: Option<Arc<FrameCryptor>>) {
        self.receiving.set_cryptor(receiver_id, cryptor);
    }

    /// Ends its streams. Does nothing for an unknown mid.
    pub fn remove_receiver(&mut self, mid: &str, now: Instant) {
        self.receiving.remove(&mut self.rtc, &mut self.medias, mid);
        self.touch(now);
    }

    /// Decode the audio receiver of this id into `sink`, which ends at once when there is no such receiver.
    pub fn attach_audio_sink(
        &mut self,
        receiver_id: u64,
        sink_id: u64,
        sink: Arc<dyn AudioSink>,
        now: Instant,
    ) {
        self.receiving.attach_audio(receiver_id, sink_id, sink, now);
    }

    /// Decode the video receiver of this id into `sink`, which ends at once when there is no such receiver.
    pub fn attach_video_sink(
        &mut self,
        receiver_id: u64,
        sink_id: u64,
        sink: Arc<dyn VideoSink>,
        now: Instant,
    ) {
        self.receiving.attach_video(receiver_id, sink_id, sink, now);
        self.touch(now);
    }

    /// Nothing more goes to this sink; it is not told.
    pub fn detach_sink(&mut self, sink_id: u64) {
        self.receiving.detach(sink_id);
    }
}
