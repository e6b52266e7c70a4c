//! The Data Channel Establishment Protocol (RFC 8832 section 5).

use sctp_proto::ReliabilityType;

const OPEN: u8 = 0x03;
const ACKNOWLEDGEMENT: u8 = 0x02;
const OPEN_HEADER_BYTES: usize = 12;
const UNORDERED_FLAG: u8 = 0x80;
/// RFC 8831 section 6.4: the normal priority.
const NORMAL_PRIORITY: u16 = 256;

/// What one side says about a channel it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenMessage {
    pub(crate) label: String,
    pub(crate) ordered: bool,
    pub(crate) reliability: Reliability,
}

/// When to give up on a lost message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reliability {
    Reliable,
    /// After this many retransmissions.
    MaxRetransmits(u32),
    /// After this many milliseconds.
    MaxLifetime(u32),
}

impl Reliability {
    /// The kind and the number as DCEP and the SCTP library have them.
    pub(crate) fn parts(self) -> (ReliabilityType, u32) {
        match self {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, count),
            Reliability::MaxLifetime(lifetime_ms) => (ReliabilityType::Timed, lifetime_ms),
        }
    }
}

/// A message of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Open(OpenMessage),
    Acknowledgement,
}

impl OpenMessage {
    /// The bytes on the wire; labels longer than 65,535 bytes are cut at a character.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (kind, number) = self.reliability.parts();
        let order = if self.ordered { 0 } else { UNORDERED_FLAG };
        let mut end = self.label.len().min(usize::from(u16::MAX));
        while !self.label.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = Vec::with_capacity(OPEN_HEADER_BYTES + end);
        bytes.extend([OPEN, kind as u8 | order]);
        bytes.extend(NORMAL_PRIORITY.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.extend((end as u16).to_be_bytes());
        bytes.extend(0u16.to_be_bytes());
        bytes.extend(&self.label.as_bytes()[..end]);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<OpenMessage> {
        let (header, names) = bytes.split_at_checked(OPEN_HEADER_BYTES)?;
        let number = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let reliability = match header[1] & !UNORDERED_FLAG {
            0 => Reliability::Reliable,
            1 => Reliability::MaxRetransmits(number),
            2 => Reliability::MaxLifetime(number),
            _ => return None,
        };
        let label_bytes = usize::from(u16::from_be_bytes([header[8], header[9]]));
        let protocol_bytes = usize::from(u16::from_be_bytes([header[10], header[11]]));
        if names.len() < label_bytes + protocol_bytes {
            return None;
        }
        let label = String::from_utf8_lossy(&names[..label_bytes]).into_owned();
        Some(OpenMessage {
            label,
            ordered: header[1] & UNORDERED_FLAG == 0,
            reliability,
        })
    }
}

impl Message {
    /// The bytes of an acknowledgement.
    pub(crate) const ACKNOWLEDGEMENT_BYTES: [u8; 1] = [ACKNOWLEDGEMENT];

    /// `None` when the bytes are no message of the protocol.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Message> {
        match *bytes.first()? {
            OPEN => OpenMessage::parse(bytes).map(Message::Open),
            ACKNOWLEDGEMENT => Some(Message::Acknowledgement),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_messages_survive_the_round_trip() {
        let reliabilities = [
            Reliability::Reliable,
            Reliability::MaxRetransmits(3),
            Reliability::MaxLifetime(500),
        ];
        for ordered in [true, false] {
            for reliability in reliabilities {
                let message = OpenMessage {
                    label: "_lössy".to_owned(),
                    ordered,
                    reliability,
                };
                assert_eq!(Message::parse(&message.to_bytes()), Some(Message::Open(message)));
            }
        }
    }

    #[test]
    fn the_wire_format_is_that_of_rfc_8832() {
        let message = OpenMessage {
            label: "ab".to_owned(),
            ordered: false,
            reliability: Reliability::MaxRetransmits(0),
        };
        assert_eq!(
            message.to_bytes(),
            [3, 0x81, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, b'a', b'b']
        );
        assert_eq!(Message::parse(&[2]), Some(Message::Acknowledgement));
    }

    #[test]
    fn malformed_messages_are_refused() {
        let whole = OpenMessage {
            label: "label".to_owned(),
            ordered: true,
            reliability: Reliability::Reliable,
        };
        let bytes = whole.to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..length]), None, "{length}");
        }
        let mut unknown = bytes.clone();
        unknown[1] = 0x07;
        assert_eq!(Message::parse(&unknown), None);
        assert_eq!(Message::parse(&[9, 9, 9]), None);
    }

    #[test]
    fn overlong_labels_are_cut_at_a_character() {
        let label = "é".repeat(40_000);
        let message = OpenMessage {
            label,
            ordered: true,
            reliability: Reliability::Reliable,
        };
        let Some(Message::Open(parsed)) = Message::parse(&message.to_bytes()) else {
            panic!("does not parse");
        };
        assert_eq!(parsed.label.len(), 65_534);
    }
}
