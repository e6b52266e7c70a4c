//! The cryptographic context of an SRTP session (RFC 3711 section 3.2): made of the keying material of DTLS
//! (RFC 5764 section 4.2), one [`Sender`] with our keys and one [`Receiver`] with the peer's.
//!
//! A packet's index is the rollover counter and the sequence number (RFC 3711 section 3.3.1). The counter is not
//! sent: both sides estimate it from the highest index so far, so a source has to begin below 2^15 or the first
//! packets must not be lost. SRTCP carries its index in the packet (section 3.4).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::key_derivation::{MasterKey, Profile, Purpose};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::error::Result;

const RTP_HEADER_BYTES: usize = 12;

pub(super) type BySource<T> = HashMap<u32, T, BuildHasherDefault<SourceHasher>>;

/// SSRCs are random enough; one multiplication spreads the ones that are not.
#[derive(Default)]
pub(super) struct SourceHasher(u64);

impl Hasher for SourceHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }
    fn write_u32(&mut self, value: u32) {
        self.0 = (self.0 ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
/// Makes both sides from the keying material of DTLS.
pub(crate) fn from_keying_material(
    profile: Profile,
    material: &[u8],
    dtls_active: bool,
) -> Result<(Sender, Receiver)> {
    let (client, server) = MasterKey::split(profile, material)?;
    let (ours, theirs) = if dtls_active {
        (client, server)
    } else {
        (server, client)
    };
    let sender = Sender::new(ours.cipher(Purpose::Rtp)?, ours.cipher(Purpose::Rtcp)?);
    let receiver = Receiver::new(theirs.cipher(Purpose::Rtp)?, theirs.cipher(Purpose::Rtcp)?);
    Ok((sender, receiver))
}

/// The length of the RTP header with its sources and extension (RFC 3550 section 5.1).
pub(super) fn rtp_header_bytes(packet: &[u8]) -> Option<usize> {
    if packet.len() < RTP_HEADER_BYTES || packet[0] >> 6 != 2 {
        return None;
    }
    let mut length = RTP_HEADER_BYTES + 4 * usize::from(packet[0] & 0x0F);
    if packet[0] & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (length <= packet.len()).then_some(length)
}

pub(super) fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::super::receiver::Refused;
    use super::*;

    const PROFILES: [Profile; 3] = [
        Profile::Aes128CmHmacSha1With80Bits,
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
    ];

    fn pair(profile: Profile) -> (Sender, Receiver) {
        let material: Vec<u8> = (0..88).collect();
        let (sender, _) = from_keying_material(profile, &material, true).expect("client");
        let (_, receiver) = from_keying_material(profile, &material, false).expect("server");
        (sender, receiver)
    }

    fn rtp(sequence_number: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 111];
        packet.extend(sequence_number.to_be_bytes());
        packet.extend(960u32.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0xBE, 0xDE, 0, 1, 0x10, 0x7F, 0, 0]);
        packet.extend(payload);
        packet
    }

    #[test]
    fn rtp_survives_the_round_trip_over_rollovers() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let mut sequence_number = 65_000u16;
            for step in 0..70_000u32 {
                let plain = rtp(sequence_number, 77, &step.to_be_bytes());
                let protected = sender.protected_rtp(&plain).expect("protect");
                if step % 97 != 0 {
                    assert_eq!(
                        receiver.opened_rtp(&protected).as_deref(),
                        Ok(&plain[..]),
                        "{profile:?} {step}"
                    );
                }
                sequence_number = sequence_number.wrapping_add(1);
            }
        }
    }

    #[test]
    fn late_packets_of_the_previous_cycle_are_opened() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let packets: Vec<_> = [65_534u16, 65_535, 0, 1]
                .iter()
                .map(|number| sender.protected_rtp(&rtp(*number, 1, b"x")).expect("protect"))
                .collect();
            for at in [0, 2, 3, 1] {
                assert!(receiver.opened_rtp(&packets[at]).is_ok(), "{profile:?} {at}");
            }
        }
    }

    #[test]
    fn replays_and_forgeries_are_refused_and_leave_no_trace() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let protected = sender.protected_rtp(&rtp(1, 2, b"payload")).expect("protect");
            for at in 0..protected.len() {
                let mut forged = protected.clone();
                forged[at] ^= 1;
                assert!(receiver.opened_rtp(&forged).is_err(), "{profile:?} {at}");
            }
            assert!(receiver.opened_rtp(&protected).is_ok());
            assert_eq!(receiver.opened_rtp(&protected), Err(Refused::Replayed));
            assert_eq!(receiver.rtp_sources.len(), 1);
        }
    }

    #[test]
    fn rtcp_survives_the_round_trip_and_is_not_replayed() {
        let compound = [
            0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 202, 0, 2, 0, 0, 0, 9, 1, 1, b'a', 0,
        ];
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let first = sender.protected_rtcp(&compound).expect("protect");
            let second = sender.protected_rtcp(&compound).expect("protect");
            assert_ne!(first, second);
            assert_eq!(receiver.opened_rtcp(&second).as_deref(), Ok(&compound[..]));
            assert_eq!(receiver.opened_rtcp(&first).as_deref(), Ok(&compound[..]));
            assert_eq!(receiver.opened_rtcp(&first), Err(Refused::Replayed));
            for at in 0..first.len() {
                let mut forged = sender.protected_rtcp(&compound).expect("protect");
                forged[at] ^= 1;
                assert!(receiver.opened_rtcp(&forged).is_err(), "{profile:?} {at}");
            }
        }
    }

    /// Prints what one packet costs; asserts only what a mistake of another order would break.
    #[test]
    fn protecting_a_packet_is_cheap() {
        const PACKETS: u32 = 200_000;
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let plain = rtp(0, 5, &[7; 1000]);
            let start = std::time::Instant::now();
            for number in 0..PACKETS {
                let mut packet = plain.clone();
                packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
                std::hint::black_box(sender.protected_rtp(&packet).expect("protect"));
            }
            let each = start.elapsed() / PACKETS;
            let protected: Vec<_> = (0..1000)
                .map(|number| {
                    sender
                        .protected_rtp(&rtp(number, 6, &[7; 1000]))
                        .expect("protect")
                })
                .collect();
            let start = std::time::Instant::now();
            for packet in &protected {
                std::hint::black_box(receiver.opened_rtp(packet).expect("open"));
            }
            println!(
                "{profile:?}: protect {each:?}, open {:?} per packet of 1 kB",
                start.elapsed() / 1000
            );
            assert!(
                each < std::time::Duration::from_micros(50),
                "{profile:?} {each:?}"
            );
        }
    }

    #[test]
    fn truncated_packets_are_refused() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let rtp = sender.protected_rtp(&rtp(1, 2, b"payload")).expect("protect");
            let rtcp = sender
                .protected_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 9])
                .expect("protect");
            for length in 0..rtp.len() {
                assert!(receiver.opened_rtp(&rtp[..length]).is_err());
            }
            for length in 0..rtcp.len() {
                assert!(receiver.opened_rtcp(&rtcp[..length]).is_err());
            }
            assert!(sender.protected_rtp(&rtp[..11]).is_err());
            assert!(sender.protected_rtcp(&rtcp[..7]).is_err());
        }
    }
}
