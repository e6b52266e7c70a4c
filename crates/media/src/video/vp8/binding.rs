//! The C functions of `native/vp8.h`, made safe.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::ptr::{self, NonNull};

use super::super::codec::EncodedFrame;
use super::super::{I420Frame, Result};

/// A `vpx_codec_err_t` other than 0.
type Code = c_int;

/// As `greenroom_vp8_settings`.
#[repr(C)]
pub struct Settings {
    pub width: u32,
    pub height: u32,
    pub bitrate_kbps: u32,
    pub threads: u32,
    pub cpu_used: i32,
    pub screen_content_mode: u32,
}

/// As `greenroom_vp8_picture`.
#[repr(C)]
struct Picture {
    y: *const u8,
    u: *const u8,
    v: *const u8,
    stride_y: i32,
    stride_u: i32,
    stride_v: i32,
    width: u32,
    height: u32,
}

#[repr(C)]
struct RawEncoder {
    _opaque: [u8; 0],
}

#[repr(C)]
struct RawDecoder {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn greenroom_vp8_encoder_new(settings: *const Settings, out: *mut *mut RawEncoder) -> Code;
    fn greenroom_vp8_encoder_free(encoder: *mut RawEncoder);
    fn greenroom_vp8_encoder_set_bitrate(encoder: *mut RawEncoder, bitrate_kbps: u32) -> Code;
    fn greenroom_vp8_encode(
        encoder: *mut RawEncoder,
        picture: *const Picture,
        pts: i64,
        duration: u64,
        force_key_frame: c_int,
        data: *mut *const u8,
        length: *mut usize,
        key_frame: *mut c_int,
    ) -> Code;
    fn greenroom_vp8_decoder_new(threads: u32, out: *mut *mut RawDecoder) -> Code;
    fn greenroom_vp8_decoder_free(decoder: *mut RawDecoder);
    fn greenroom_vp8_decode(
        decoder: *mut RawDecoder,
        data: *const u8,
        length: usize,
        picture: *mut Picture,
        has_picture: *mut c_int,
        corrupted: *mut c_int,
    ) -> Code;
    fn greenroom_vp8_error_text(code: Code) -> *const c_char;
}

pub fn error_text(code: Code) -> String {
    // SAFETY: the library answers every number with a string that lives as long as the program.
    let text = unsafe { CStr::from_ptr(greenroom_vp8_error_text(code)) };
    text.to_string_lossy().into_owned()
}

/// The object a constructor gave, or its error; a success without an object counts as an error too.
fn created<T>(code: Code, object: *mut T) -> std::result::Result<NonNull<T>, Code> {
    if code != 0 {
        return Err(code);
    }
    NonNull::new(object).ok_or(1)
}

fn checked(code: Code) -> std::result::Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(code) }
}

pub struct Encoder(NonNull<RawEncoder>);

// SAFETY: the object belongs to its owner alone and libvpx ties it to no thread.
unsafe impl Send for Encoder {}

impl Encoder {
    pub fn new(settings: &Settings) -> std::result::Result<Self, Code> {
        let mut object = ptr::null_mut();
        // SAFETY: both pointers are valid for the call; the settings are only read.
        let code = unsafe { greenroom_vp8_encoder_new(settings, &mut object) };
        created(code, object).map(Self)
    }

    pub fn set_bitrate(&mut self, bitrate_kbps: u32) -> std::result::Result<(), Code> {
        // SAFETY: the object is alive.
        checked(unsafe { greenroom_vp8_encoder_set_bitrate(self.0.as_ptr(), bitrate_kbps) })
    }

    /// The frame must have the size the encoder was made for.
    pub fn encode(
        &mut self,
        frame: &I420Frame,
        pts: i64,
        duration: u64,
        key_frame: bool,
    ) -> std::result::Result<Option<EncodedFrame>, Code> {
        let picture = Picture {
            y: frame.y().as_ptr(),
            u: frame.u().as_ptr(),
            v: frame.v().as_ptr(),
            stride_y: frame.width() as i32,
            stride_u: frame.chroma_width() as i32,
            stride_v: frame.chroma_width() as i32,
            width: frame.width(),
            height: frame.height(),
        };
        let (mut data, mut length, mut is_key) = (ptr::null(), 0, 0);
        // SAFETY: the planes live through the call and have the size and strides given; libvpx refuses other sizes
        // than the encoder's. The out-pointers are valid.
        checked(unsafe {
            greenroom_vp8_encode(
                self.0.as_ptr(),
                &picture,
                pts,
                duration,
                c_int::from(key_frame),
                &mut data,
                &mut length,
                &mut is_key,
            )
        })?;
        if length == 0 || data.is_null() {
            return Ok(None);
        }
        // SAFETY: the packet is valid until the next call on this encoder.
        let data = unsafe { std::slice::from_raw_parts(data, length) }.to_vec();
        Ok(Some(EncodedFrame {
            data,
            key_frame: is_key != 0,
        }))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the object is alive and not used again.
        unsafe { greenroom_vp8_encoder_free(self.0.as_ptr()) }
    }
}

pub struct Decoder(NonNull<RawDecoder>);

// SAFETY: as for Encoder.
unsafe impl Send for Decoder {}

/// What came out of one frame.
pub struct Decoded {
    pub picture: Option<Result<I420Frame>>,
    pub corrupted: bool,
}

impl Decoder {
    pub fn new(threads: u32) -> std::result::Result<Self, Code> {
        let mut object = ptr::null_mut();
        // SAFETY: the out-pointer is valid.
        let code = unsafe { greenroom_vp8_decoder_new(threads, &mut object) };
        created(code, object).map(Self)
    }

    pub fn decode(&mut self, data: &[u8]) -> std::result::Result<Decoded, Code> {
        let mut picture = Picture {
            y: ptr::null(),
            u: ptr::null(),
            v: ptr::null(),
            stride_y: 0,
            stride_u: 0,
            stride_v: 0,
            width: 0,
            height: 0,
        };
        let (mut has_picture, mut corrupted) = (0, 0);
        // SAFETY: the data is only read, within its length; the out-pointers are valid.
        checked(unsafe {
            greenroom_vp8_decode(
                self.0.as_ptr(),
                data.as_ptr(),
                data.len(),
                &mut picture,
                &mut has_picture,
                &mut corrupted,
            )
        })?;
        let picture = (has_picture != 0).then(|| copy(&picture));
        Ok(Decoded {
            picture,
            corrupted: corrupted != 0,
        })
    }
}

/// Copy the library's picture, which lives until the next call on its decoder.
fn copy(picture: &Picture) -> Result<I420Frame> {
    let (width, height) = (picture.width, picture.height);
    let plane = |start: *const u8, stride: i32, row_length: u32, rows: u32| {
        let stride = usize::try_from(stride).unwrap_or(0);
        if start.is_null() || rows == 0 || stride < row_length as usize {
            return (&[][..], stride);
        }
        let length = stride * (rows as usize - 1) + row_length as usize;
        // SAFETY: the library keeps `rows` rows of `row_length` bytes, `stride` apart, from this address on.
        (unsafe { std::slice::from_raw_parts(start, length) }, stride)
    };
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let planes = [
        plane(picture.y, picture.stride_y, width, height),
        plane(picture.u, picture.stride_u, chroma_width, chroma_height),
        plane(picture.v, picture.stride_v, chroma_width, chroma_height),
    ];
    I420Frame::from_planes(width, height, planes)
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the object is alive and not used again.
        unsafe { greenroom_vp8_decoder_free(self.0.as_ptr()) }
    }
}
