//! As much of STUN (RFC 8489) as it takes to see whose a datagram is.

const HEADER_BYTES: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// The bits of a message's type that say request, indication, success or error.
const CLASS_MASK: u16 = 0x0110;
const INDICATION: u16 = 0x0010;
const BINDING_REQUEST: u16 = 0x0001;
const USERNAME: u16 = 0x0006;
/// Two ufrags of at most 256 characters and a colon (RFC 8839 section 5.4).
const MAX_USERNAME_BYTES: usize = 513;

/// What a response repeats of its request.
pub(super) type Transaction = [u8; 12];

/// What is seen in a datagram from outside.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// A binding request. With a username it is a connectivity check, without one it goes to a STUN server.
    Binding(Transaction, Option<&'a [u8]>),
    /// Success or error.
    Response(Transaction),
    /// DTLS, RTP, or STUN of another kind: its address alone says whose it is.
    Other,
    /// It begins as STUN does (RFC 7983), and is none.
    Malformed,
}

impl Seen<'_> {
    pub(super) fn new(contents: &[u8]) -> Seen<'_> {
        if contents.first().is_none_or(|byte| *byte > 3) {
            return Seen::Other;
        }
        parse(contents).unwrap_or(Seen::Malformed)
    }
}

fn parse(contents: &[u8]) -> Option<Seen<'_>> {
    let kind = number(contents, 0)?;
    let length = usize::from(number(contents, 2)?);
    let attributes = contents.get(HEADER_BYTES..HEADER_BYTES + length)?;
    let transaction = contents.get(8..HEADER_BYTES)?.try_into().ok()?;
    if contents.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    Some(match kind & CLASS_MASK {
        0 if kind == BINDING_REQUEST => Seen::Binding(transaction, username(attributes)?),
        0 | INDICATION => Seen::Other,
        _ => Seen::Response(transaction),
    })
}

/// None: malformed. Some(None): there is none.
fn username(attributes: &[u8]) -> Option<Option<&[u8]>> {
    let mut rest = attributes;
    while !rest.is_empty() {
        let length = usize::from(number(rest, 2)?);
        let value = rest.get(4..4 + length)?;
        if number(rest, 0)? == USERNAME {
            return (length <= MAX_USERNAME_BYTES).then_some(Some(value));
        }
        // Values are padded to four bytes; the last may lack it.
        rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(None)
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A STUN message of this type.
    pub(in crate::shared) fn message(kind: u16, transaction: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in attributes {
            body.extend(name.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE);
        message.extend([transaction; 12]);
        message.extend(body);
        message
    }

    #[test]
    fn a_check_is_known_by_its_username() {
        let check = message(1, 7, &[(0x8022, b"abc"), (USERNAME, b"ours:theirs")]);
        assert_eq!(Seen::new(&check), Seen::Binding([7; 12], Some(b"ours:theirs")));
        assert_eq!(Seen::new(&message(1, 7, &[])), Seen::Binding([7; 12], None));
    }

    #[test]
    fn responses_have_a_transaction_and_the_rest_an_address() {
        assert_eq!(Seen::new(&message(0x0101, 3, &[])), Seen::Response([3; 12]));
        assert_eq!(Seen::new(&message(0x0111, 4, &[])), Seen::Response([4; 12]));
        // Data from a TURN server, an allocation, DTLS, RTP, nothing.
        assert_eq!(Seen::new(&message(0x0017, 4, &[])), Seen::Other);
        assert_eq!(Seen::new(&message(0x0003, 4, &[])), Seen::Other);
        assert_eq!(Seen::new(&[22, 254]), Seen::Other);
        assert_eq!(Seen::new(&[128; 20]), Seen::Other);
        assert_eq!(Seen::new(&[]), Seen::Other);
    }

    #[test]
    fn what_is_cut_or_lies_about_its_length_is_malformed() {
        let check = message(1, 7, &[(USERNAME, b"ours:theirs")]);
        for length in 1..check.len() {
            assert_eq!(Seen::new(&check[..length]), Seen::Malformed, "{length} bytes");
        }
        let mut lying = check.clone();
        lying[23] = 200;
        assert_eq!(Seen::new(&lying), Seen::Malformed);
        let mut without_cookie = check;
        without_cookie[4] = 0;
        assert_eq!(Seen::new(&without_cookie), Seen::Malformed);
        assert_eq!(
            Seen::new(&message(1, 7, &[(USERNAME, &[b'a'; 600])])),
            Seen::Malformed
        );
    }
}
