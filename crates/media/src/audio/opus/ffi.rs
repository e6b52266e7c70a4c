//! The only unsafe code of the audio half: owned handles around libopus.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use opusic_sys as sys;

const RATE_HZ: i32 = 48_000;

/// Owned encoder state.
pub(super) struct RawEncoder {
    state: NonNull<sys::OpusEncoder>,
    channels: usize,
}

// SAFETY: libopus state has no thread affinity and is only reached through `&mut self`.
unsafe impl Send for RawEncoder {}

impl RawEncoder {
    pub(super) fn new(channels: usize, application: c_int) -> Result<Self, c_int> {
        let mut code = 0;
        // SAFETY: `code` outlives the call; bad arguments come back as an error code.
        let state = unsafe { sys::opus_encoder_create(RATE_HZ, channels as c_int, application, &mut code) };
        match NonNull::new(state) {
            Some(state) if code == sys::OPUS_OK => Ok(Self { state, channels }),
            _ => Err(if code < 0 { code } else { sys::OPUS_ALLOC_FAIL }),
        }
    }

    /// One of the `OPUS_SET_*_REQUEST` controls that take a 32-bit value.
    pub(super) fn set(&mut self, request: c_int, value: i32) -> Result<(), c_int> {
        // SAFETY: the state is live, and every request used takes exactly one `opus_int32`.
        check(unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, value) }).map(|_| ())
    }

    /// `pcm` holds a whole packet; returns the bytes written to `out`.
    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, c_int> {
        let samples = (pcm.len() / self.channels) as c_int;
        let capacity = i32::try_from(out.len()).unwrap_or(i32::MAX);
        // SAFETY: libopus reads `samples * channels` values of `pcm` and writes at most `capacity` bytes.
        check(unsafe {
            sys::opus_encode(
                self.state.as_ptr(),
                pcm.as_ptr(),
                samples,
                out.as_mut_ptr(),
                capacity,
            )
        })
    }
}

impl Drop for RawEncoder {
    fn drop(&mut self) {
        // SAFETY: created by `opus_encoder_create`, destroyed once.
        unsafe { sys::opus_encoder_destroy(self.state.as_ptr()) }
    }
}

/// Owned decoder state.
pub(super) struct RawDecoder {
    state: NonNull<sys::OpusDecoder>,
    channels: usize,
}

// SAFETY: as for `RawEncoder`.
unsafe impl Send for RawDecoder {}

impl RawDecoder {
    pub(super) fn new(channels: usize) -> Result<Self, c_int> {
        let mut code = 0;
        // SAFETY: `code` outlives the call; bad arguments come back as an error code.
        let state = unsafe { sys::opus_decoder_create(RATE_HZ, channels as c_int, &mut code) };
        match NonNull::new(state) {
            Some(state) if code == sys::OPUS_OK => Ok(Self { state, channels }),
            _ => Err(if code < 0 { code } else { sys::OPUS_ALLOC_FAIL }),
        }
    }

    /// Decodes into `out`, which bounds the frame. No payload conceals all of `out`; `fec` takes the redundant frame.
    pub(super) fn decode(
        &mut self,
        payload: Option<&[u8]>,
        out: &mut [i16],
        fec: bool,
    ) -> Result<usize, c_int> {
        let (data, length) = match payload {
            Some(bytes) => (
                bytes.as_ptr(),
                i32::try_from(bytes.len()).map_err(|_| sys::OPUS_BAD_ARG)?,
            ),
            None => (ptr::null(), 0),
        };
        let samples = (out.len() / self.channels) as c_int;
        // SAFETY: `data` holds `length` bytes or is null; libopus writes at most `samples * channels` values.
        let code = unsafe {
            sys::opus_decode(
                self.state.as_ptr(),
                data,
                length,
                out.as_mut_ptr(),
                samples,
                c_int::from(fec),
            )
        };
        check(code)
    }
}

impl Drop for RawDecoder {
    fn drop(&mut self) {
        // SAFETY: created by `opus_decoder_create`, destroyed once.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

pub(super) fn packet_samples(payload: &[u8]) -> Result<usize, c_int> {
    let length = i32::try_from(payload.len()).map_err(|_| sys::OPUS_BAD_ARG)?;
    // SAFETY: libopus reads at most `length` bytes.
    check(unsafe { sys::opus_packet_get_nb_samples(payload.as_ptr(), length, RATE_HZ) })
}

pub(super) fn packet_has_fec(payload: &[u8]) -> bool {
    let Ok(length) = i32::try_from(payload.len()) else {
        return false;
    };
    // SAFETY: libopus reads at most `length` bytes.
    length > 0 && unsafe { sys::opus_packet_has_lbrr(payload.as_ptr(), length) } > 0
}

fn check(code: c_int) -> Result<usize, c_int> {
    usize::try_from(code).map_err(|_| code)
}
