//! From received frames to pictures for the streams attached: in order, one decode job at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_media::video::{self, Codec, VideoDecoder};

use crate::VideoSink;
use crate::jobs::{Decoded, JobKey, Jobs, Outcome};

/// Frames that wait for the decoder before it counts as behind.
const QUEUE_FRAMES: usize = 60;
/// A request for a key frame is repeated after this until one comes.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);

/// One whole frame as it came off the network.
pub(crate) struct ReceivedFrame {
    pub data: Arc<[u8]>,
    pub key_frame: bool,
    /// Nothing is missing before it.
    pub contiguous: bool,
    /// Grows with capture time.
    pub timestamp_us: i64,
    pub codec: Codec,
}

enum Decoder {
    Idle(Option<(Codec, Box<dyn VideoDecoder>)>),
    Busy(Codec),
}

/// Decoder side of one video track. It decodes only while something listens.
pub(crate) struct VideoReceiver {
    sinks: Vec<(u64, Arc<dyn VideoSink>)>,
    decoder: Decoder,
    queue: VecDeque<ReceivedFrame>,
    needs_key_frame: bool,
    /// Set while a key frame is needed and something listens.
    request_at: Option<Instant>,
    pub frames_decoded: u64,
    pub key_frames_decoded: u64,
    pub frames_dropped: u64,
    pub requests: u64,
    pub size: (u32, u32),
}

impl VideoReceiver {
    pub fn new() -> Self {
        Self {
            sinks: vec![],
            decoder: Decoder::Idle(None),
            queue: VecDeque::new(),
            needs_key_frame: true,
            request_at: None,
            frames_decoded: 0,
            key_frames_decoded: 0,
            frames_dropped: 0,
            requests: 0,
            size: (0, 0),
        }
    }

    pub fn attach(&mut self, id: u64, sink: Arc<dyn VideoSink>, now: Instant) {
        if self.sinks.is_empty() {
            self.lose_sync(now);
        }
        self.sinks.push((id, sink));
    }

    pub fn detach(&mut self, id: u64) {
        self.sinks.retain(|(other, _)| *other != id);
        if self.sinks.is_empty() {
            self.queue.clear();
            self.request_at = None;
            self.needs_key_frame = true;
        }
    }

    pub fn end(&mut self) {
        self.queue.clear();
        self.request_at = None;
        self.sinks.drain(..).for_each(|(_, sink)| sink.end());
    }

    fn lose_sync(&mut self, now: Instant) {
        self.needs_key_frame = true;
        self.request_at.get_or_insert(now);
    }

    /// A frame arrived.
    pub fn insert(&mut self, frame: ReceivedFrame, now: Instant, key: JobKey, jobs: &Jobs) {
        if self.sinks.is_empty() {
            return;
        }
        if frame.key_frame {
            self.needs_key_frame = false;
            self.request_at = None;
        } else if !frame.contiguous && !self.needs_key_frame {
            self.lose_sync(now);
        }
        if self.needs_key_frame {
            self.frames_dropped += 1;
            self.request_at.get_or_insert(now);
            return;
        }
        if self.queue.len() >= QUEUE_FRAMES {
            self.frames_dropped += self.queue.len() as u64;
            self.queue.clear();
            if !frame.key_frame {
                self.frames_dropped += 1;
                self.lose_sync(now);
                return;
            }
        }
        self.queue.push_back(frame);
        self.start(key, jobs);
    }

    /// A frame arrived that can't be decrypted. A key frame is asked for only when one can be again, so that who has
    /// no key does not trouble the sender.
    pub fn skip(&mut self) {
        self.frames_dropped += 1;
        self.needs_key_frame = true;
        self.request_at = None;
    }

    fn start(&mut self, key: JobKey, jobs: &Jobs) {
        let Some(codec) = self.queue.front().map(|frame| frame.codec) else {
            return;
        };
        let decoder = match std::mem::replace(&mut self.decoder, Decoder::Busy(codec)) {
            Decoder::Busy(running) => {
                self.decoder = Decoder::Busy(running);
                return;
            }
            Decoder::Idle(Some((other, decoder))) if other == codec => Some(decoder),
            Decoder::Idle(_) => None,
        };
        let same_codec = self.queue.iter().take_while(|frame| frame.codec == codec).count();
        let frames = self.queue.drain(..same_codec).collect();
        let task = DecodeTask {
            codec,
            decoder,
            frames,
            sinks: self.sinks.iter().map(|(_, sink)| sink.clone()).collect(),
        };
        jobs.submit(key, move || Outcome::Decoded(task.run()));
    }

    /// The job is back.
    pub fn finished(&mut self, outcome: Outcome, now: Instant, key: JobKey, jobs: &Jobs) {
        let codec = match self.decoder {
            Decoder::Busy(codec) => Some(codec),
            Decoder::Idle(_) => None,
        };
        let error = match outcome {
            Outcome::Decoded(decoded) => {
                self.decoder = Decoder::Idle(codec.zip(decoded.decoder));
                self.frames_decoded += decoded.frames;
                self.key_frames_decoded += decoded.key_frames;
                self.size = decoded.size.unwrap_or(self.size);
                decoded.error
            }
            _ => {
                self.decoder = Decoder::Idle(None);
                Some("the decoder's job was lost".into())
            }
        };
        if let Some(error) = error {
            log::debug!("a video frame was not decoded: {error}");
            self.frames_dropped += 1;
            self.resynchronise(now);
        }
        self.start(key, jobs);
    }

    /// After an error: go on at a key frame that waits already, or ask for one.
    fn resynchronise(&mut self, now: Instant) {
        let next_key = self.queue.iter().position(|frame| frame.key_frame);
        let useless = next_key.unwrap_or(self.queue.len());
        self.frames_dropped += useless as u64;
        self.queue.drain(..useless);
        if next_key.is_none() && !self.sinks.is_empty() {
            self.lose_sync(now);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.request_at
    }

    /// Whether to ask for a key frame now.
    pub fn take_request(&mut self, now: Instant) -> bool {
        if self.request_at.is_none_or(|due| due > now) {
            return false;
        }
        self.request_at = Some(now + REQUEST_INTERVAL);
        self.requests += 1;
        true
    }
}

struct DecodeTask {
    codec: Codec,
    decoder: Option<Box<dyn VideoDecoder>>,
    frames: Vec<ReceivedFrame>,
    sinks: Vec<Arc<dyn VideoSink>>,
}

impl DecodeTask {
    fn run(mut self) -> Decoded {
        let mut done = Decoded {
            decoder: None,
            frames: 0,
            key_frames: 0,
            size: None,
            error: None,
        };
        let mut decoder = self.decoder.take();
        let result = catch_unwind(AssertUnwindSafe(|| self.decode(&mut decoder, &mut done)));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => done.error = Some(error),
            Err(_) => {
                decoder = None;
                done.error = Some("the decoder panicked".into());
            }
        }
        done.decoder = decoder;
        done
    }

    fn decode(&self, slot: &mut Option<Box<dyn VideoDecoder>>, done: &mut Decoded) -> Result<(), String> {
        for frame in &self.frames {
            let decoder = match slot {
                Some(decoder) => decoder,
                None => slot.insert(video::create_decoder(self.codec).map_err(|error| error.to_string())?),
            };
            let picture = decoder.decode(&frame.data).map_err(|error| error.to_string())?;
            done.frames += 1;
            done.key_frames += u64::from(frame.key_frame);
            let Some(picture) = picture else { continue };
            done.size = Some((picture.width(), picture.height()));
            for sink in &self.sinks {
                sink.push_frame(&picture, frame.timestamp_us);
            }
        }
        Ok(())
    }
}
