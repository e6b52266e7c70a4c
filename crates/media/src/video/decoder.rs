//! What both decoders share: nothing is decoded after damage until a key frame comes.

use super::codec::{Codec, VideoDecoder};
use super::{I420Frame, Result, VideoError};

/// Largest frame taken, in bytes; a key frame of the largest picture stays far below.
const LARGEST_FRAME_BYTES: usize = 32 << 20;

/// One library's decoder.
pub trait RawDecoder: Sized + Send {
    const CODEC: Codec;
    fn open() -> Result<Self>;
    /// Whether decoding can start here; an error when the frame must not reach the library.
    fn inspect(data: &[u8]) -> Result<bool>;
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>>;
}

/// A [`VideoDecoder`] on top of a library.
pub struct RealtimeDecoder<Raw> {
    /// None: a key frame is needed, which gets a new decoder.
    raw: Option<Raw>,
}

impl<Raw: RawDecoder> RealtimeDecoder<Raw> {
    pub fn new() -> Result<Self> {
        // Opened here only to report a missing library at once.
        Raw::open()?;
        Ok(Self { raw: None })
    }

    fn decode_whole(&mut self, data: &[u8]) -> Result<Option<I420Frame>> {
        let refuse = |detail: &str| VideoError::Decode {
            codec: Raw::CODEC,
            length: data.len(),
            detail: detail.into(),
        };
        if data.is_empty() || data.len() > LARGEST_FRAME_BYTES {
            return Err(refuse("empty or too large"));
        }
        let key_frame = Raw::inspect(data)?;
        let raw = match &mut self.raw {
            Some(raw) => raw,
            None if key_frame => self.raw.insert(Raw::open()?),
            None => return Err(refuse("not a key frame, and nothing to build on")),
        };
        raw.decode(data)
    }
}

impl<Raw: RawDecoder> VideoDecoder for RealtimeDecoder<Raw> {
    fn decode(&mut self, data: &[u8]) -> Result<Option<I420Frame>> {
        let outcome = self.decode_whole(data);
        if outcome.is_err() {
            self.raw = None;
        }
        outcome
    }
}
