//! The objects of openh264, made safe.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use openh264_sys2::source::APILoader;
use openh264_sys2::*;

use super::super::codec::EncodedFrame;
use super::super::encoder::RawSettings;
use super::super::{I420Frame, Result};

/// A number of the library other than success.
type Code = i64;

/// The library promises every entry of its tables; a missing one is an error all the same.
const MISSING_FUNCTION: Code = -1;

/// Call a member of a C++ object through its table. The object must be alive.
macro_rules! call {
    ($object:expr, $function:ident $(, $argument:expr)*) => {{
        let object = $object.as_ptr();
        // SAFETY: the object is alive and starts with the pointer to its table; arguments are valid for the call.
        unsafe {
            match (**object).$function {
                Some(function) => Ok(function(object $(, $argument)*)),
                None => Err(MISSING_FUNCTION),
            }
        }
    }};
}

fn checked(code: impl Into<i64>) -> std::result::Result<(), Code> {
    match code.into() {
        0 => Ok(()),
        code => Err(code),
    }
}

/// Start codes and NAL units as they stand in the library's layers.
fn collect(info: &SFrameBSInfo) -> Vec<u8> {
    let mut out = Vec::with_capacity(usize::try_from(info.iFrameSizeInBytes).unwrap_or(0));
    let layers = usize::try_from(info.iLayerNum)
        .unwrap_or(0)
        .min(info.sLayerInfo.len());
    for layer in &info.sLayerInfo[..layers] {
        let units = usize::try_from(layer.iNalCount).unwrap_or(0);
        if units == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
            continue;
        }
        // SAFETY: the library fills one length per NAL unit, and the units lie one after the other from pBsBuf on;
        // both stay until its next call.
        unsafe {
            let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, units);
            let total = lengths
                .iter()
                .map(|length| usize::try_from(*length).unwrap_or(0))
                .sum();
            out.extend_from_slice(std::slice::from_raw_parts(layer.pBsBuf, total));
        }
    }
    out
}

pub struct Encoder(NonNull<ISVCEncoder>);

// SAFETY: the object belongs to its owner alone and the library ties it to no thread.
unsafe impl Send for Encoder {}

impl Encoder {
    /// The size must be even and at least 16 each way.
    pub fn new(settings: &RawSettings) -> std::result::Result<Self, Code> {
        let mut object: *mut ISVCEncoder = ptr::null_mut();
        // SAFETY: the out-pointer is valid.
        checked(unsafe { APILoader::WelsCreateSVCEncoder(&mut object) })?;
        let encoder = Self(NonNull::new(object).ok_or(MISSING_FUNCTION)?);
        encoder.set_option(ENCODER_OPTION_TRACE_LEVEL, WELS_LOG_QUIET as c_int)?;
        let mut parameters = SEncParamExt::default();
        checked(call!(encoder.0, GetDefaultParams, &mut parameters)?)?;
        fill(&mut parameters, settings);
        checked(call!(encoder.0, InitializeExt, &parameters)?)?;
        encoder.set_option(ENCODER_OPTION_DATAFORMAT, videoFormatI420 as c_int)?;
        Ok(encoder)
    }

    /// `value` must be of the type the option takes.
    fn set_option<T>(&self, option: ENCODER_OPTION, mut value: T) -> std::result::Result<(), Code> {
        let value: *mut c_void = (&raw mut value).cast();
        checked(call!(self.0, SetOption, option, value)?)
    }

    pub fn set_rates(&mut self, bitrate_bps: u32, framerate: f32) -> std::result::Result<(), Code> {
        self.set_option(ENCODER_OPTION_FRAME_RATE, framerate)?;
        let bitrate = SBitrateInfo {
            iLayer: SPATIAL_LAYER_ALL,
            iBitrate: bitrate_bps as c_int,
        };
        self.set_option(ENCODER_OPTION_BITRATE, bitrate)
    }

    /// The frame must have the size the encoder was made for.
    pub fn encode(
        &mut self,
        frame: &I420Frame,
        key_frame: bool,
        timestamp_ms: i64,
    ) -> std::result::Result<Option<EncodedFrame>, Code> {
        if key_frame {
            checked(call!(self.0, ForceIntraFrame, true)?)?;
        }
        let (stride, chroma_stride) = (frame.width() as c_int, frame.chroma_width() as c_int);
        let picture = SSourcePicture {
            iColorFormat: videoFormatI420,
            iStride: [stride, chroma_stride, chroma_stride, 0],
            // The library only reads the picture; its type just does not say so.
            pData: [
                frame.y().as_ptr().cast_mut(),
                frame.u().as_ptr().cast_mut(),
                frame.v().as_ptr().cast_mut(),
                ptr::null_mut(),
            ],
            iPicWidth: frame.width() as c_int,
            iPicHeight: frame.height() as c_int,
            uiTimeStamp: timestamp_ms,
            ..Default::default()
        };
        let mut info = SFrameBSInfo::default();
        checked(call!(self.0, EncodeFrame, &picture, &mut info)?)?;
        if info.eFrameType == videoFrameTypeSkip || info.eFrameType == videoFrameTypeInvalid {
            return Ok(None);
        }
        let data = collect(&info);
        let key_frame = info.eFrameType == videoFrameTypeIDR;
        Ok((!data.is_empty()).then_some(EncodedFrame { data, key_frame }))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the object is alive and not used again; its destructor shuts it down.
        unsafe { APILoader::WelsDestroySVCEncoder(self.0.as_ptr()) }
    }
}

fn fill(parameters: &mut SEncParamExt, settings: &RawSettings) {
    let bitrate_bps = settings.bitrate_bps as c_int;
    parameters.iUsageType = if settings.is_screencast {
        SCREEN_CONTENT_REAL_TIME
    } else {
        CAMERA_VIDEO_REAL_TIME
    };
    parameters.iPicWidth = settings.width as c_int;
    parameters.iPicHeight = settings.height as c_int;
    parameters.iTargetBitrate = bitrate_bps;
    parameters.iMaxBitrate = 0;
    parameters.iRCMode = RC_BITRATE_MODE;
    // Skips only when the rate can't be held by coarser pictures.
    parameters.bEnableFrameSkip = true;
    parameters.fMaxFrameRate = settings.framerate;
    parameters.iSpatialLayerNum = 1;
    parameters.iTemporalLayerNum = 1;
    parameters.iComplexityMode = LOW_COMPLEXITY;
    // Key frames only on demand.
    parameters.uiIntraPeriod = 0;
    parameters.eSpsPpsIdStrategy = CONSTANT_ID;
    // CAVLC: baseline has no CABAC.
    parameters.iEntropyCodingModeFlag = 0;
    parameters.bEnableDenoise = false;
    parameters.bEnableSceneChangeDetect = settings.is_screencast;
    parameters.bEnableBackgroundDetection = !settings.is_screencast;
    parameters.bEnableLongTermReference = false;
    parameters.iMultipleThreadIdc = settings.threads as u16;
    let layer = &mut parameters.sSpatialLayers[0];
    layer.iVideoWidth = settings.width as c_int;
    layer.iVideoHeight = settings.height as c_int;
    layer.fFrameRate = settings.framerate;
    layer.iSpatialBitrate = bitrate_bps;
    layer.iMaxSpatialBitrate = 0;
    layer.uiProfileIdc = PRO_BASELINE;
    layer.sSliceArgument.uiSliceMode = if settings.threads > 1 {
        SM_FIXEDSLCNUM_SLICE
    } else {
        SM_SINGLE_SLICE
    };
    layer.sSliceArgument.uiSliceNum = settings.threads;
}

pub struct Decoder(NonNull<ISVCDecoder>);

// SAFETY: as for Encoder.
unsafe impl Send for Decoder {}

impl Decoder {
    pub fn new() -> std::result::Result<Self, Code> {
        let mut object: *mut ISVCDecoder = ptr::null_mut();
        // SAFETY: the out-pointer is valid.
        checked(unsafe { APILoader::WelsCreateDecoder(&mut object) })?;
        let decoder = Self(NonNull::new(object).ok_or(MISSING_FUNCTION)?);
        let mut level = WELS_LOG_QUIET as c_int;
        let level: *mut c_void = (&raw mut level).cast();
        checked(call!(decoder.0, SetOption, DECODER_OPTION_TRACE_LEVEL, level)?)?;
        let mut parameters = SDecodingParam {
            eEcActiveIdc: ERROR_CON_DISABLE,
            ..Default::default()
        };
        parameters.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
        checked(call!(decoder.0, Initialize, &parameters)?)?;
        Ok(decoder)
    }

    /// One access unit; at most 2 GiB.
    pub fn decode(&mut self, data: &[u8]) -> std::result::Result<Option<Result<I420Frame>>, Code> {
        let length = c_int::try_from(data.len()).map_err(|_| MISSING_FUNCTION)?;
        let mut planes: [*mut u8; 3] = [ptr::null_mut(); 3];
        let mut info = SBufferInfo::default();
        let state = call!(
            self.0,
            DecodeFrameNoDelay,
            data.as_ptr(),
            length,
            planes.as_mut_ptr(),
            &mut info
        )?;
        checked(state)?;
        if info.iBufferStatus != 1 {
            return Ok(None);
        }
        // SAFETY: plain numbers, filled by the library whenever it gives a picture; the union has this one member.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        Ok(Some(copy(&planes, &buffer)))
    }
}

/// Copy the library's picture, which lives until the next call on its decoder.
fn copy(planes: &[*mut u8; 3], buffer: &SSysMEMBuffer) -> Result<I420Frame> {
    let (width, height) = (
        u32::try_from(buffer.iWidth).unwrap_or(0),
        u32::try_from(buffer.iHeight).unwrap_or(0),
    );
    let plane = |index: usize, stride: c_int, row_length: u32, rows: u32| {
        let stride = usize::try_from(stride).unwrap_or(0);
        if planes[index].is_null() || rows == 0 || stride < row_length as usize {
            return (&[][..], stride);
        }
        let length = stride * (rows as usize - 1) + row_length as usize;
        // SAFETY: the library keeps `rows` rows of `row_length` bytes, `stride` apart, from this address on.
        (
            unsafe { std::slice::from_raw_parts(planes[index].cast_const(), length) },
            stride,
        )
    };
    let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
    let [stride, chroma_stride] = buffer.iStride;
    let planes = [
        plane(0, stride, width, height),
        plane(1, chroma_stride, chroma_width, chroma_height),
        plane(2, chroma_stride, chroma_width, chroma_height),
    ];
    I420Frame::from_planes(width, height, planes)
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // An error of the shutdown changes nothing: the object goes anyway.
        let _: std::result::Result<_, Code> = call!(self.0, Uninitialize);
        // SAFETY: the object is alive and not used again.
        unsafe { APILoader::WelsDestroyDecoder(self.0.as_ptr()) }
    }
}
