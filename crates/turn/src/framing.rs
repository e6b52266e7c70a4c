//! STUN and ChannelData on a stream (RFC 8656 section 12.5): each message says its length, padded to four bytes.

const HEADER_BYTES: usize = 4;
const STUN_HEADER_BYTES: usize = 20;

/// Takes a byte stream apart into messages. It never holds more than one message and what was pushed last.
#[derive(Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Of `bytes`, given out already.
    taken: usize,
}

impl Framer {
    /// Add what was read. Take out all messages before the next.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, padding included. An error: this is no TURN, and can't be read on.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, &'static str> {
        let rest = &self.bytes[self.taken..];
        let [kind, _, high, low, ..] = *rest else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let whole = match kind {
            0x00..=0x3F => STUN_HEADER_BYTES + length,
            0x40..=0x4F => HEADER_BYTES + length.next_multiple_of(4),
            _ => return Err("it sent something that is neither STUN nor ChannelData"),
        };
        let message = rest.get(..whole);
        self.taken += message.map_or(0, <[u8]>::len);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_whole_however_the_stream_is_cut() {
        let stun = [&[0, 1, 0, 8][..], &[9; 24]].concat();
        let data = [&[0x40, 0, 0, 5][..], &[7; 8]].concat();
        let stream = [&stun[..], &data, &stun, &data].concat();
        for size in 1..=stream.len() {
            let mut framer = Framer::default();
            let mut messages = Vec::new();
            for piece in stream.chunks(size) {
                framer.push(piece);
                while let Some(message) = framer.next_message().unwrap() {
                    messages.push(message.to_vec());
                }
            }
            let expected = [&stun, &data, &stun, &data].map(Clone::clone);
            assert_eq!(messages, expected, "pieces of {size}");
        }
    }

    #[test]
    fn another_protocol_is_an_error() {
        for first in [b"SSH-2.0-", &[0x80, 0, 0, 0]] as [&[u8]; 2] {
            let mut framer = Framer::default();
            framer.push(first);
            assert!(framer.next_message().is_err());
        }
    }
}
