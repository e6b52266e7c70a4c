//! Colour arithmetic between RGB and YUV, by the `yuv` crate's vector code.

use std::borrow::Cow;

use yuv::{
    BufferStoreMut, YuvBiPlanarImage, YuvBiPlanarImageMut, YuvConversionMode, YuvError, YuvPlanarImage,
    YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
};

use super::planar::{Planar, PlanarMut, Subsampling};
use super::{Result, Size};
use crate::video::VideoError;

const RANGE: YuvRange = YuvRange::Limited;
const MATRIX: YuvStandardMatrix = YuvStandardMatrix::Bt601;
const MODE: YuvConversionMode = YuvConversionMode::Balanced;

/// Packed orders the arithmetic reads and writes directly.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChannelOrder {
    Rgb,
    Rgba,
    Bgra,
}

impl ChannelOrder {
    fn stride(self, width: usize) -> u32 {
        let channels = if self == ChannelOrder::Rgb { 3 } else { 4 };
        (channels * width) as u32
    }
}

pub struct ColorInput<'a> {
    pub data: Cow<'a, [u8]>,
    pub order: ChannelOrder,
}

type ToPlanar = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> std::result::Result<(), YuvError>;

type FromPlanar = fn(
    &YuvPlanarImage<'_, u8>,
    &mut [u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
) -> std::result::Result<(), YuvError>;

fn to_planar_function(order: ChannelOrder, subsampling: Subsampling) -> ToPlanar {
    use ChannelOrder::{Bgra, Rgb, Rgba};
    match (order, subsampling) {
        (Rgb, Subsampling::Both) => yuv::rgb_to_yuv420,
        (Rgb, Subsampling::Across) => yuv::rgb_to_yuv422,
        (Rgb, Subsampling::None) => yuv::rgb_to_yuv444,
        (Rgba, Subsampling::Both) => yuv::rgba_to_yuv420,
        (Rgba, Subsampling::Across) => yuv::rgba_to_yuv422,
        (Rgba, Subsampling::None) => yuv::rgba_to_yuv444,
        (Bgra, Subsampling::Both) => yuv::bgra_to_yuv420,
        (Bgra, Subsampling::Across) => yuv::bgra_to_yuv422,
        (Bgra, Subsampling::None) => yuv::bgra_to_yuv444,
    }
}

fn from_planar_function(order: ChannelOrder, subsampling: Subsampling) -> FromPlanar {
    use ChannelOrder::{Bgra, Rgb, Rgba};
    match (order, subsampling) {
        (Rgb, Subsampling::Both) => yuv::yuv420_to_rgb,
        (Rgb, Subsampling::Across) => yuv::yuv422_to_rgb,
        (Rgb, Subsampling::None) => yuv::yuv444_to_rgb,
        (Rgba, Subsampling::Both) => yuv::yuv420_to_rgba,
        (Rgba, Subsampling::Across) => yuv::yuv422_to_rgba,
        (Rgba, Subsampling::None) => yuv::yuv444_to_rgba,
        (Bgra, Subsampling::Both) => yuv::yuv420_to_bgra,
        (Bgra, Subsampling::Across) => yuv::yuv422_to_bgra,
        (Bgra, Subsampling::None) => yuv::yuv444_to_bgra,
    }
}

/// Sizes were checked before; an error here would be a mistake of ours, and is reported, not hidden.
fn checked(result: std::result::Result<(), YuvError>) -> Result<()> {
    result.map_err(|error| VideoError::Conversion(error.to_string()))
}

pub fn to_planar(input: &ColorInput<'_>, size: Size, planes: &mut PlanarMut<'_>) -> Result<()> {
    let chroma_stride = planes.chroma.width as u32;
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(planes.y),
        y_stride: size.width as u32,
        u_plane: BufferStoreMut::Borrowed(planes.u),
        u_stride: chroma_stride,
        v_plane: BufferStoreMut::Borrowed(planes.v),
        v_stride: chroma_stride,
        width: size.width as u32,
        height: size.height as u32,
    };
    let function = to_planar_function(input.order, planes.subsampling);
    checked(function(
        &mut image,
        &input.data,
        input.order.stride(size.width),
        RANGE,
        MATRIX,
        MODE,
    ))
}

pub fn from_planar(planes: &Planar<'_>, size: Size, order: ChannelOrder, out: &mut [u8]) -> Result<()> {
    let chroma_stride = planes.chroma.width as u32;
    let image = YuvPlanarImage {
        y_plane: planes.y,
        y_stride: size.width as u32,
        u_plane: planes.u,
        u_stride: chroma_stride,
        v_plane: planes.v,
        v_stride: chroma_stride,
        width: size.width as u32,
        height: size.height as u32,
    };
    let function = from_planar_function(order, planes.subsampling);
    checked(function(&image, out, order.stride(size.width), RANGE, MATRIX))
}

pub fn to_nv12(input: &ColorInput<'_>, size: Size, out: &mut [u8]) -> Result<()> {
    let (luma, chroma) = out.split_at_mut(size.pixels());
    let mut image = YuvBiPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(luma),
        y_stride: size.width as u32,
        uv_plane: BufferStoreMut::Borrowed(chroma),
        uv_stride: 2 * size.width.div_ceil(2) as u32,
        width: size.width as u32,
        height: size.height as u32,
    };
    let function = match input.order {
        ChannelOrder::Rgb => yuv::rgb_to_yuv_nv12,
        ChannelOrder::Rgba => yuv::rgba_to_yuv_nv12,
        ChannelOrder::Bgra => yuv::bgra_to_yuv_nv12,
    };
    checked(function(
        &mut image,
        &input.data,
        input.order.stride(size.width),
        RANGE,
        MATRIX,
        MODE,
    ))
}

pub fn from_nv12(data: &[u8], size: Size, order: ChannelOrder, out: &mut [u8]) -> Result<()> {
    let (luma, chroma) = data.split_at(size.pixels());
    let image = YuvBiPlanarImage {
        y_plane: luma,
        y_stride: size.width as u32,
        uv_plane: chroma,
        uv_stride: 2 * size.width.div_ceil(2) as u32,
        width: size.width as u32,
        height: size.height as u32,
    };
    let function = match order {
        ChannelOrder::Rgb => yuv::yuv_nv12_to_rgb,
        ChannelOrder::Rgba => yuv::yuv_nv12_to_rgba,
        ChannelOrder::Bgra => yuv::yuv_nv12_to_bgra,
    };
    checked(function(
        &image,
        out,
        order.stride(size.width),
        RANGE,
        MATRIX,
        MODE,
    ))
}
