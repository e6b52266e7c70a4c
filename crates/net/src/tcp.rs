//! ICE-TCP: RFC 4571 framing, and one connection, accepted or opened.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::endpoint::{Opening, Protocol};

/// The largest frame taken: a whole DTLS record with room to spare.
const MAX_FRAME_BYTES: usize = 18 * 1024;
/// The largest frame taken before the remote has shown that it speaks STUN.
const MAX_FIRST_FRAME_BYTES: usize = 2048;
/// What may wait to be written before a connection counts as too slow.
const MAX_UNSENT_BYTES: usize = 1024 * 1024;
/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first STUN message may take from the accept.
const FIRST_STUN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an established connection may be silent; ICE consent checks come every few seconds.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Reads per turn and connection.
const READS_PER_TURN: usize = 4;
const STUN_MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// Takes a byte stream apart into frames: two bytes of length, then the contents (RFC 4571 section 2).
#[derive(Default)]
pub(crate) struct FrameReader {
    /// The frame that is not whole yet, with its length.
    partial: Vec<u8>,
}

impl FrameReader {
    /// Give each whole frame to `each` (an error from it ends the reading). Frames over `limit` are an error, too.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<usize, &'static str>,
        limit: usize,
    ) -> Result<(), &'static str> {
        let mut limit = limit;
        while !bytes.is_empty() {
            if self.partial.is_empty()
                && let Some((frame, rest)) = split_frame(bytes, limit)?
            {
                limit = each(frame)?;
                bytes = rest;
                continue;
            }
            let missing = self.missing(limit)?.min(bytes.len());
            self.partial.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.partial.len() >= 2 && self.missing(limit)? == 0 {
                limit = each(&self.partial[2..])?;
                self.partial.clear();
            }
        }
        Ok(())
    }

    /// Bytes until the length, then until the frame, is whole.
    fn missing(&self, limit: usize) -> Result<usize, &'static str> {
        match self.partial[..] {
            [high, low, ..] => Ok(2 + checked_length(high, low, limit)? - self.partial.len()),
            _ => Ok(2 - self.partial.len()),
        }
    }
}

fn checked_length(high: u8, low: u8, limit: usize) -> Result<usize, &'static str> {
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > limit {
        Err("a frame is too large")
    } else {
        Ok(length)
    }
}

type Split<'a> = Option<(&'a [u8], &'a [u8])>;

fn split_frame(bytes: &[u8], limit: usize) -> Result<Split<'_>, &'static str> {
    let [high, low, rest @ ..] = bytes else {
        return Ok(None);
    };
    let length = checked_length(*high, *low, limit)?;
    Ok(rest.split_at_checked(length))
}

fn is_stun(frame: &[u8]) -> bool {
    frame.len() >= 20 && frame[0] < 4 && frame[4..8] == STUN_MAGIC_COOKIE
}

/// One connection. An error of any method means: close it.
pub(crate) struct Connection {
    /// Ours, and how it is known; None: it was accepted.
    pub(crate) opening: Option<Opening>,
    /// It is being opened.
    pub(crate) connecting: bool,
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
    reader: FrameReader,
    unsent: Vec<u8>,
    /// The first message was STUN: this is no port scanner.
    established: bool,
    last_heard: Instant,
    /// The worker waits until it can be written to.
    pub(crate) waits_to_write: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, remote: SocketAddr, now: Instant) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Connection {
            opening: None,
            connecting: false,
            stream,
            remote,
            local,
            reader: FrameReader::default(),
            unsent: Vec::new(),
            established: false,
            last_heard: now,
            waits_to_write: false,
        })
    }

    /// Begin to open one; it is there when it can be written to and `finish_connecting` agrees.
    pub(crate) fn open(opening: Opening, now: Instant) -> io::Result<Connection> {
        let socket = Socket::new(Domain::for_address(opening.destination), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        if !opening.source.ip().is_unspecified() {
            socket.bind(&SocketAddr::new(opening.source.ip(), 0).into())?;
        }
        match socket.connect(&opening.destination.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let stream = TcpStream::from(OwnedFd::from(socket));
        let mut connection = Connection::new(stream, opening.destination, now)?;
        connection.opening = Some(opening);
        connection.connecting = true;
        connection.waits_to_write = true;
        connection.local = opening.source;
        Ok(connection)
    }

    /// It can be written to, or has an error: which.
    pub(crate) fn finish_connecting(&mut self, now: Instant) -> Result<(), String> {
        self.connecting = false;
        self.last_heard = now;
        match self.stream.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(error.to_string()),
        }
    }

    fn is_framed(&self) -> bool {
        self.opening
            .is_none_or(|opening| opening.protocol != Protocol::Stream)
    }

    /// When it is to be closed if nothing comes until then. The owner of a stream judges for itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let patience = match () {
            () if self.connecting => CONNECT_TIMEOUT,
            () if !self.is_framed() => return None,
            () if self.established => SILENCE_TIMEOUT,
            () => FIRST_STUN_TIMEOUT,
        };
        Some(self.last_heard + patience)
    }

    /// Read what is there and give each frame to `each`. Bytes read into `scratch` are not kept.
    pub(crate) fn read(
        &mut self,
        now: Instant,
        scratch: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        for _ in 0..READS_PER_TURN {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err("the remote closed it".to_owned()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            if self.is_framed() {
                self.take(now, &scratch[..count], &mut each)?;
            } else {
                each(&scratch[..count]);
            }
            if count < scratch.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, now: Instant, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Result<(), String> {
        let established = &mut self.established;
        let last_heard = &mut self.last_heard;
        let limit = if *established {
            MAX_FRAME_BYTES
        } else {
            MAX_FIRST_FRAME_BYTES
        };
        let deliver = |frame: &[u8]| {
            if !*established && !is_stun(frame) {
                return Err("its first message is not STUN");
            }
            *established = true;
            *last_heard = now;
            each(frame);
            Ok(MAX_FRAME_BYTES)
        };
        self.reader.push(bytes, deliver, limit).map_err(str::to_owned)
    }

    /// Add one frame, or bytes of a stream, to what is to be written.
    pub(crate) fn queue(&mut self, contents: &[u8]) -> Result<(), String> {
        if self.unsent.len() + contents.len() + 2 > MAX_UNSENT_BYTES {
            return Err(format!(
                "the remote is too slow: {} bytes wait to be written",
                self.unsent.len()
            ));
        }
        if self.is_framed() {
            let length = u16::try_from(contents.len())
                .map_err(|_| format!("a datagram of {} bytes does not fit a frame", contents.len()))?;
            self.unsent.extend_from_slice(&length.to_be_bytes());
        }
        self.unsent.extend_from_slice(contents);
        Ok(())
    }

    /// Write what the kernel takes now. Whether something is left.
    pub(crate) fn write(&mut self) -> Result<bool, String> {
        if self.connecting {
            return Ok(true);
        }
        let mut written = 0;
        while written < self.unsent.len() {
            match self.stream.write(&self.unsent[written..]) {
                Ok(0) => return Err("the remote closed it".to_owned()),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.unsent.drain(..written);
        Ok(!self.unsent.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend_from_slice(&(frame.len() as u16).to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        bytes
    }

    fn read_in_pieces(
        bytes: &[u8],
        mut next_size: impl FnMut() -> usize,
    ) -> Result<Vec<Vec<u8>>, &'static str> {
        let mut reader = FrameReader::default();
        let mut frames = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(next_size().clamp(1, rest.len()));
            let take = |frame: &[u8]| {
                frames.push(frame.to_vec());
                Ok(MAX_FRAME_BYTES)
            };
            reader.push(piece, take, MAX_FRAME_BYTES)?;
            rest = after;
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_whole_however_the_stream_is_cut() {
        let frames: Vec<Vec<u8>> = [0usize, 1, 2, 255, 256, 257, 0, 1500, 18_432]
            .iter()
            .map(|size| vec![*size as u8; *size])
            .collect();
        let bytes = framed(&frames);
        for size in [1, 2, 3, 5, 7, 255, 258, 1024, bytes.len()] {
            assert_eq!(
                read_in_pieces(&bytes, || size).unwrap(),
                frames,
                "pieces of {size}"
            );
        }
        let mut state = 0x1234_5678_u32;
        for _ in 0..200 {
            let random = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 20) as usize
            };
            assert_eq!(read_in_pieces(&bytes, random).unwrap(), frames);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_length_whole_or_in_pieces() {
        let too_large = (MAX_FRAME_BYTES as u16 + 1).to_be_bytes();
        assert!(read_in_pieces(&too_large, || 2).is_err());
        assert!(read_in_pieces(&too_large, || 1).is_err());
    }

    #[test]
    fn stun_is_told_by_its_cookie() {
        let mut message = vec![0u8; 20];
        assert!(!is_stun(&message));
        message[4..8].copy_from_slice(&STUN_MAGIC_COOKIE);
        assert!(is_stun(&message));
        assert!(!is_stun(&message[..19]));
        message[0] = 0x16;
        assert!(!is_stun(&message));
    }
}
