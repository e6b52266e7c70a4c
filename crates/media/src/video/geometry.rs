//! Turning and resizing pictures.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::frame::{MAXIMUM_DIMENSION, check_size};
use super::{BufferType, I420Frame, Result, VideoError};

/// Edge of the square tiles a quarter turn works on, so that reads and writes both stay in the cache.
const TILE: usize = 32;

/// Turn a picture clockwise by 0, 90, 180 or 270 degrees. 0 shares the pixels.
pub fn rotate(frame: &I420Frame, degrees: u32) -> Result<I420Frame> {
    let turn: fn(&[u8], usize, usize, &mut Vec<u8>) = match degrees {
        0 => return Ok(frame.clone()),
        90 => |plane, width, height, out| quarter_turn(plane, width, height, true, out),
        180 => |plane, _, _, out| out.extend(plane.iter().rev()),
        270 => |plane, width, height, out| quarter_turn(plane, width, height, false, out),
        _ => return Err(VideoError::Rotation(degrees)),
    };
    let (width, height) = (frame.width(), frame.height());
    let (chroma_width, chroma_height) = (frame.chroma_width() as usize, frame.chroma_height() as usize);
    let mut out = Vec::with_capacity(frame.as_bytes().len());
    turn(frame.y(), width as usize, height as usize, &mut out);
    turn(frame.u(), chroma_width, chroma_height, &mut out);
    turn(frame.v(), chroma_width, chroma_height, &mut out);
    let (width, height) = if degrees == 180 {
        (width, height)
    } else {
        (height, width)
    };
    I420Frame::from_vec(out, width, height)
}

fn quarter_turn(plane: &[u8], width: usize, height: usize, clockwise: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + plane.len(), 0);
    let out = &mut out[start..];
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for x in left..(left + TILE).min(width) {
                let target_row = if clockwise { x } else { width - 1 - x };
                let target = &mut out[target_row * height..][..height];
                for y in top..(top + TILE).min(height) {
                    let target_x = if clockwise { height - 1 - y } else { y };
                    target[target_x] = plane[y * width + x];
                }
            }
        }
    }
}

/// Resize a picture (1 to 16384 pixels each way): every source pixel counts when shrinking, linear between pixels when growing.
/// The same size shares the pixels. The aspect ratio is the caller's.
pub fn scale(frame: &I420Frame, width: u32, height: u32) -> Result<I420Frame> {
    check_size(width, height, 1, MAXIMUM_DIMENSION)?;
    if (width, height) == (frame.width(), frame.height()) {
        return Ok(frame.clone());
    }
    // What simulcast asks for most.
    if (2 * width, 2 * height) == (frame.width(), frame.height()) {
        return super::convert::halve(frame);
    }
    let mut out = vec![0; BufferType::I420.size_of(width as usize, height as usize)];
    let (luma, chroma) = out.split_at_mut(width as usize * height as usize);
    let (u, v) = chroma.split_at_mut(chroma.len() / 2);
    let from = (frame.width(), frame.height());
    let from_chroma = (frame.chroma_width(), frame.chroma_height());
    let to_chroma = (width.div_ceil(2), height.div_ceil(2));
    let mut resizer = Resizer::new();
    scale_plane(&mut resizer, frame.y(), from, luma, (width, height))?;
    scale_plane(&mut resizer, frame.u(), from_chroma, u, to_chroma)?;
    scale_plane(&mut resizer, frame.v(), from_chroma, v, to_chroma)?;
    I420Frame::from_vec(out, width, height)
}

fn scale_plane(
    resizer: &mut Resizer,
    source: &[u8],
    from: (u32, u32),
    target: &mut [u8],
    to: (u32, u32),
) -> Result<()> {
    let failed = |error: String| VideoError::Conversion(error);
    let source = TypedImageRef::<U8>::from_buffer(from.0, from.1, source)
        .map_err(|error| failed(error.to_string()))?;
    let mut target =
        TypedImage::<U8>::from_buffer(to.0, to.1, target).map_err(|error| failed(error.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resizer
        .resize_typed(&source, &mut target, &options)
        .map_err(|error| failed(error.to_string()))
}
