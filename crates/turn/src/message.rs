//! STUN messages (RFC 8489): reading, writing, and their integrity.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;
use md5::{Digest, Md5};

pub(crate) const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_A442;
const INTEGRITY_BYTES: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554E;

pub(crate) mod attribute {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const CHANNEL_NUMBER: u16 = 0x000C;
    pub const LIFETIME: u16 = 0x000D;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const ALTERNATE_SERVER: u16 = 0x8023;
    pub const FINGERPRINT: u16 = 0x8028;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// The methods that a client of STUN and TURN meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Binding,
    Allocate,
    Refresh,
    Data,
    ChannelBind,
}

const METHODS: [(u16, Method); 5] = [
    (0x001, Method::Binding),
    (0x003, Method::Allocate),
    (0x004, Method::Refresh),
    (0x007, Method::Data),
    (0x009, Method::ChannelBind),
];
const CLASSES: [(u16, Class); 4] = [
    (0x000, Class::Request),
    (0x010, Class::Indication),
    (0x100, Class::Success),
    (0x110, Class::Error),
];
const CLASS_BITS: u16 = 0x110;

/// Names one request and its answer.
pub(crate) type TransactionId = [u8; 12];

/// The key of long-term credentials (RFC 8489 section 9.2.2).
pub(crate) struct Key(hmac::Key);

impl Key {
    pub fn long_term(username: &str, realm: &str, password: &str) -> Key {
        let digest = Md5::digest(format!("{username}:{realm}:{password}"));
        Key(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &digest))
    }
}

/// A message as it came in, well-formed down to the lengths of its attributes.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub class: Class,
    pub method: Method,
    pub transaction: TransactionId,
    bytes: &'a [u8],
    /// Where the attributes that count end: at MESSAGE-INTEGRITY, or at the end.
    end: usize,
    integrity: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// None for what is no STUN message, or of a method that no client gets.
    pub fn parse(bytes: &'a [u8]) -> Option<Message<'a>> {
        let header = bytes.get(..HEADER_BYTES)?;
        let kind = u16_at(header, 0)?;
        let length = usize::from(u16_at(header, 2)?);
        let whole = length.is_multiple_of(4) && bytes.len() == HEADER_BYTES + length;
        if kind & 0xC000 != 0 || !whole || header.get(4..8)? != MAGIC_COOKIE.to_be_bytes() {
            return None;
        }
        let class = CLASSES.iter().find(|(bits, _)| *bits == kind & CLASS_BITS)?.1;
        let method = METHODS.iter().find(|(bits, _)| *bits == kind & !CLASS_BITS)?.1;
        let mut message = Message {
            class,
            method,
            transaction: header.get(8..20)?.try_into().ok()?,
            bytes,
            end: bytes.len(),
            integrity: None,
        };
        let mut offset = HEADER_BYTES;
        while offset < bytes.len() {
            let (kind, value, next) = attribute_at(bytes, offset)?;
            if kind == attribute::MESSAGE_INTEGRITY && message.integrity.is_none() {
                message.integrity = Some(value);
                message.end = offset;
            }
            offset = next;
        }
        Some(message)
    }

    pub fn attribute(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut offset = HEADER_BYTES;
        while offset < self.end {
            let (kind, value, next) = attribute_at(self.bytes, offset)?;
            if kind == wanted {
                return Some(value);
            }
            offset = next;
        }
        None
    }

    pub fn text(&self, wanted: u16) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(wanted)?).ok()
    }

    pub fn number(&self, wanted: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.attribute(wanted)?.try_into().ok()?))
    }

    /// An address that is XORed with cookie and transaction.
    pub fn xor_address(&self, wanted: u16) -> Option<SocketAddr> {
        read_address(self.attribute(wanted)?, Some(&self.transaction))
    }

    /// An address that is as it is.
    pub fn address(&self, wanted: u16) -> Option<SocketAddr> {
        read_address(self.attribute(wanted)?, None)
    }

    /// Where a Binding came from, as the server saw it; old servers don't XOR it.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        let plain = || self.address(attribute::MAPPED_ADDRESS);
        self.xor_address(attribute::XOR_MAPPED_ADDRESS).or_else(plain)
    }

    /// The code and reason of an error response; the reason is cut to what fits a message for people.
    pub fn error(&self) -> Option<(u16, String)> {
        let value = self.attribute(attribute::ERROR_CODE)?;
        let code = u16::from(value.get(2)? & 7) * 100 + u16::from(*value.get(3)?);
        let reason = String::from_utf8_lossy(value.get(4..)?);
        Some((
            code,
            reason.chars().filter(|c| !c.is_control()).take(100).collect(),
        ))
    }

    /// Whether it was made by someone who has the key.
    pub fn is_authentic(&self, key: &Key) -> bool {
        let Some(integrity) = self.integrity else {
            return false;
        };
        let mut signed = self.bytes[..self.end].to_vec();
        set_length(&mut signed, INTEGRITY_BYTES + 4);
        hmac::verify(&key.0, &signed, integrity).is_ok()
    }
}

/// (kind, value, where the next begins).
fn attribute_at(bytes: &[u8], offset: usize) -> Option<(u16, &[u8], usize)> {
    let kind = u16_at(bytes, offset)?;
    let length = usize::from(u16_at(bytes, offset + 2)?);
    let value = bytes.get(offset + 4..offset + 4 + length)?;
    Some((kind, value, offset + 4 + length.next_multiple_of(4)))
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        bytes.get(offset..offset + 2)?.try_into().ok()?,
    ))
}

fn xor_mask(transaction: &TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction);
    mask
}

fn read_address(value: &[u8], transaction: Option<&TransactionId>) -> Option<SocketAddr> {
    let mask = transaction.map_or([0; 16], xor_mask);
    let port = u16_at(value, 2)? ^ u16::from_be_bytes([mask[0], mask[1]]);
    let mut octets = [0; 16];
    let address = value.get(4..)?;
    let unmasked = octets
        .get_mut(..address.len())?
        .iter_mut()
        .zip(address.iter().zip(mask));
    unmasked.for_each(|(octet, (byte, mask))| *octet = byte ^ mask);
    let ip: IpAddr = match (value.get(1)?, address.len()) {
        (1, 4) => Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into(),
        (2, 16) => Ipv6Addr::from(octets).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn set_length(bytes: &mut [u8], more: usize) {
    let length = (bytes.len() - HEADER_BYTES + more) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

/// Writes a message, attribute by attribute.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    transaction: TransactionId,
}

impl Writer {
    pub fn new(class: Class, method: Method, transaction: TransactionId) -> Writer {
        let bits =
            |table: &[(u16, Method)]| table.iter().find(|entry| entry.1 == method).map(|entry| entry.0);
        let class = CLASSES
            .iter()
            .find(|entry| entry.1 == class)
            .map_or(0, |entry| entry.0);
        let kind = bits(&METHODS).unwrap_or_default() | class;
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        bytes.extend_from_slice(&transaction);
        Writer { bytes, transaction }
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Writer {
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub fn xor_address(self, kind: u16, address: SocketAddr) -> Writer {
        let mask = xor_mask(&self.transaction);
        let port = address.port() ^ u16::from_be_bytes([mask[0], mask[1]]);
        let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
        value.extend_from_slice(&port.to_be_bytes());
        let octets = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        value.extend(octets.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
        self.attribute(kind, &value)
    }

    /// Without a key there is no MESSAGE-INTEGRITY; a FINGERPRINT always.
    pub fn finish(mut self, key: Option<&Key>) -> Vec<u8> {
        if let Some(key) = key {
            set_length(&mut self.bytes, INTEGRITY_BYTES + 4);
            let tag = hmac::sign(&key.0, &self.bytes);
            self = self.attribute(attribute::MESSAGE_INTEGRITY, tag.as_ref());
        }
        set_length(&mut self.bytes, 8);
        let fingerprint = crc32(&self.bytes) ^ FINGERPRINT_XOR;
        self.attribute(attribute::FINGERPRINT, &fingerprint.to_be_bytes())
            .bytes
    }
}

/// ISO-HDLC, as in RFC 8489 section 14.7. Only requests have one, so there is no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.4: a request with long-term authentication.
    const LONG_TERM_REQUEST: &[u8] = &[
        0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29,
        0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88, 0xe3, 0x83, 0xaa, 0xe3,
        0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00, 0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f,
        0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36, 0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46,
        0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73, 0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70,
        0x6c, 0x65, 0x2e, 0x6f, 0x72, 0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6,
        0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66,
    ];

    #[test]
    fn the_long_term_example_of_rfc_5769_is_authentic() {
        let message = Message::parse(LONG_TERM_REQUEST).expect("a message");
        assert_eq!(message.text(attribute::REALM), Some("example.org"));
        let username = message.text(attribute::USERNAME).expect("a name");
        assert!(message.is_authentic(&Key::long_term(username, "example.org", "TheMatrIX")));
        assert!(!message.is_authentic(&Key::long_term(username, "example.org", "TheMatrix")));
    }

    #[test]
    fn what_is_written_is_read() {
        let key = Key::long_term("user", "realm", "secret");
        for address in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let address: SocketAddr = address.parse().unwrap();
            let bytes = Writer::new(Class::Success, Method::Allocate, [7; 12])
                .xor_address(attribute::XOR_RELAYED_ADDRESS, address)
                .attribute(attribute::LIFETIME, &600u32.to_be_bytes())
                .attribute(attribute::REALM, b"odd")
                .finish(Some(&key));
            let message = Message::parse(&bytes).expect("a message");
            assert_eq!(
                (message.class, message.method),
                (Class::Success, Method::Allocate)
            );
            assert_eq!(message.xor_address(attribute::XOR_RELAYED_ADDRESS), Some(address));
            assert_eq!(message.number(attribute::LIFETIME), Some(600));
            assert_eq!(message.text(attribute::REALM), Some("odd"));
            assert!(message.is_authentic(&key));
        }
    }

    #[test]
    fn attributes_after_the_integrity_do_not_count() {
        let key = Key::long_term("user", "realm", "secret");
        let mut bytes = Writer::new(Class::Success, Method::Refresh, [7; 12]).finish(Some(&key));
        bytes.extend_from_slice(&[0x00, 0x0D, 0, 4, 0, 0, 0, 1]);
        set_length(&mut bytes, 0);
        let message = Message::parse(&bytes).expect("a message");
        assert!(message.is_authentic(&key));
        assert_eq!(message.number(attribute::LIFETIME), None);
    }

    #[test]
    fn an_error_is_named() {
        let bytes = Writer::new(Class::Error, Method::Allocate, [7; 12])
            .attribute(
                attribute::ERROR_CODE,
                &[&[0, 0, 4, 86], &b"Allocation Quota\n"[..]].concat(),
            )
            .finish(None);
        let message = Message::parse(&bytes).expect("a message");
        assert_eq!(message.error(), Some((486, "Allocation Quota".into())));
    }

    #[test]
    fn cut_and_flipped_messages_are_refused_or_read_without_a_panic() {
        for length in 0..LONG_TERM_REQUEST.len() {
            assert!(Message::parse(&LONG_TERM_REQUEST[..length]).is_none());
        }
        for position in 0..LONG_TERM_REQUEST.len() * 8 {
            let mut bytes = LONG_TERM_REQUEST.to_vec();
            bytes[position / 8] ^= 1 << (position % 8);
            if let Some(message) = Message::parse(&bytes) {
                let _ = (message.mapped_address(), message.error());
                let key = Key::long_term(
                    "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}",
                    "example.org",
                    "TheMatrIX",
                );
                assert!(!message.is_authentic(&key), "bit {position}");
            }
        }
    }
}
