//! Pictures: pixel layouts and their conversion, rotation and scaling, and the VP8 and H264 codecs.
//!
//! Everything inside works on [`I420Frame`]; other layouts exist at the edges ([`to_i420`], [`from_i420`],
//! [`convert`]). Codecs are behind [`VideoEncoder`] and [`VideoDecoder`], made by [`create_encoder`] and
//! [`create_decoder`].

mod buffer_type;
mod codec;
mod convert;
mod decoder;
mod encoder;
mod error;
mod frame;
mod geometry;
mod h264;
mod vp8;

pub use buffer_type::{BufferType, buffer_size};
pub use codec::{
    Codec, EncodedFrame, EncoderConfig, VideoDecoder, VideoEncoder, create_decoder, create_encoder,
};
pub use convert::{convert, from_i420, to_i420};
pub use error::{Result, VideoError};
pub use frame::I420Frame;
pub use geometry::{rotate, scale};
