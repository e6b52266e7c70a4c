//! Codecs, sample and pixel work: no sockets, threads or clock.

#![deny(unsafe_code)]

pub mod audio;
pub mod video;
