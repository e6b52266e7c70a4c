//! The sending and the receiving side of an SRTP session, with the state of every source.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::cipher::{Cipher, MAX_OVERHEAD_BYTES, Position, RTCP_HEADER_BYTES, rtcp_index};
use super::key_derivation::{MasterKey, Profile, Purpose};
use super::replay::{ReplayWindow, estimate_index};
use crate::error::{Result, TransportError};

/// How many sources of the peer are tracked; more are refused, only an abusive peer has them.
const MAX_SOURCES: usize = 4096;
const RTP_HEADER_BYTES: usize = 12;
const LAST_RTCP_INDEX: u32 = (1 << 31) - 1;

type BySource<T> = HashMap<u32, T, BuildHasherDefault<SourceHasher>>;

/// SSRCs are random enough; one multiplication spreads the ones that are not.
#[derive(Default)]
struct SourceHasher(u64);

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

/// Why an incoming packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed,
    Unauthenticated,
    Replayed,
}

/// Protects outgoing packets.
pub(crate) struct Sender {
    rtp: Cipher,
    rtcp: Cipher,
    /// The highest packet index sent by each source.
    highest: BySource<u64>,
    next_rtcp_index: u32,
}

/// Opens incoming packets.
pub(crate) struct Receiver {
    rtp: Cipher,
    rtcp: Cipher,
    rtp_sources: BySource<ReplayWindow>,
    rtcp_sources: BySource<ReplayWindow>,
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
    let sender = Sender {
        rtp: ours.cipher(Purpose::Rtp)?,
        rtcp: ours.cipher(Purpose::Rtcp)?,
        highest: BySource::default(),
        next_rtcp_index: 1,
    };
    let receiver = Receiver {
        rtp: theirs.cipher(Purpose::Rtp)?,
        rtcp: theirs.cipher(Purpose::Rtcp)?,
        rtp_sources: BySource::default(),
        rtcp_sources: BySource::default(),
    };
    Ok((sender, receiver))
}

impl Sender {
    /// A protected copy of a plain RTP packet.
    pub(crate) fn protect_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>> {
        let Some(header_bytes) = rtp_header_bytes(packet) else {
            return Err(TransportError::Packet {
                kind: "RTP",
                length: packet.len(),
                reason: "its header is cut short or not of version 2",
            });
        };
        let (sequence_number, ssrc) = (read_u16(packet, 2), read_u32(packet, 8));
        let highest = self.highest.entry(ssrc).or_insert(u64::from(sequence_number));
        let index = estimate_index(Some(*highest), sequence_number);
        *highest = index.max(*highest);
        let mut protected = Vec::with_capacity(packet.len() + MAX_OVERHEAD_BYTES);
        protected.extend_from_slice(packet);
        self.rtp
            .seal_rtp(&mut protected, header_bytes, Position { ssrc, index })?;
        Ok(protected)
    }

    /// A protected copy of a plain compound RTCP packet.
    pub(crate) fn protect_rtcp(&mut self, compound: &[u8]) -> Result<Vec<u8>> {
        if compound.len() < RTCP_HEADER_BYTES || compound[0] >> 6 != 2 {
            return Err(TransportError::Packet {
                kind: "RTCP",
                length: compound.len(),
                reason: "its header is cut short or not of version 2",
            });
        }
        if self.next_rtcp_index > LAST_RTCP_INDEX {
            return Err(TransportError::Crypto {
                operation: "RTCP encryption (indices used up)",
            });
        }
        // One counter for all our sources: unique for each of them, as the nonce also has the SSRC.
        let position = Position {
            ssrc: read_u32(compound, 4),
            index: u64::from(self.next_rtcp_index),
        };
        self.next_rtcp_index += 1;
        let mut protected = Vec::with_capacity(compound.len() + MAX_OVERHEAD_BYTES);
        protected.extend_from_slice(compound);
        self.rtcp.seal_rtcp(&mut protected, position)?;
        Ok(protected)
    }
}

impl Receiver {
    /// The plain RTP packet inside a protected one.
    pub(crate) fn open_rtp(&mut self, protected: &[u8]) -> std::result::Result<Vec<u8>, Refused> {
        let header_bytes = rtp_header_bytes(protected).ok_or(Refused::Malformed)?;
        let (sequence_number, ssrc) = (read_u16(protected, 2), read_u32(protected, 8));
        let known = self.rtp_sources.get_mut(&ssrc);
        let highest = known.as_ref().and_then(|window| window.highest());
        let index = estimate_index(highest, sequence_number);
        if known.as_ref().is_some_and(|window| !window.admits(index)) {
            return Err(Refused::Replayed);
        }
        let mut packet = protected.to_vec();
        if !self
            .rtp
            .open_rtp(&mut packet, header_bytes, Position { ssrc, index })
        {
            return Err(Refused::Unauthenticated);
        }
        match known {
            Some(window) => window.record(index),
            None => record_new(&mut self.rtp_sources, ssrc, index)?,
        }
        Ok(packet)
    }

    /// The plain compound RTCP packet inside a protected one.
    pub(crate) fn open_rtcp(&mut self, protected: &[u8]) -> std::result::Result<Vec<u8>, Refused> {
        let range = self
            .rtcp
            .rtcp_index_range(protected.len())
            .ok_or(Refused::Malformed)?;
        let index = rtcp_index(&protected[range]).ok_or(Refused::Unauthenticated)?;
        let ssrc = read_u32(protected, 4);
        let known = self.rtcp_sources.get_mut(&ssrc);
        if known.as_ref().is_some_and(|window| !window.admits(index)) {
            return Err(Refused::Replayed);
        }
        let mut packet = protected.to_vec();
        if !self.rtcp.open_rtcp(&mut packet, Position { ssrc, index }) {
            return Err(Refused::Unauthenticated);
        }
        match known {
            Some(window) => window.record(index),
            None => record_new(&mut self.rtcp_sources, ssrc, index)?,
        }
        Ok(packet)
    }
}

fn record_new(
    sources: &mut BySource<ReplayWindow>,
    ssrc: u32,
    index: u64,
) -> std::result::Result<(), Refused> {
    if sources.len() >= MAX_SOURCES {
        return Err(Refused::Unauthenticated);
    }
    let mut window = ReplayWindow::default();
    window.record(index);
    sources.insert(ssrc, window);
    Ok(())
}

/// The length of the RTP header with its sources and extension (RFC 3550 section 5.1).
fn rtp_header_bytes(packet: &[u8]) -> Option<usize> {
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

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sender")
            .field("sources", &self.highest.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Receiver")
            .field("sources", &self.rtp_sources.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
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
                let protected = sender.protect_rtp(&plain).expect("protect");
                if step % 97 != 0 {
                    assert_eq!(
                        receiver.open_rtp(&protected).as_deref(),
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
                .map(|number| sender.protect_rtp(&rtp(*number, 1, b"x")).expect("protect"))
                .collect();
            for at in [0, 2, 3, 1] {
                assert!(receiver.open_rtp(&packets[at]).is_ok(), "{profile:?} {at}");
            }
        }
    }

    #[test]
    fn replays_and_forgeries_are_refused_and_leave_no_trace() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let protected = sender.protect_rtp(&rtp(1, 2, b"payload")).expect("protect");
            for at in 0..protected.len() {
                let mut forged = protected.clone();
                forged[at] ^= 1;
                assert!(receiver.open_rtp(&forged).is_err(), "{profile:?} {at}");
            }
            assert!(receiver.open_rtp(&protected).is_ok());
            assert_eq!(receiver.open_rtp(&protected), Err(Refused::Replayed));
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
            let first = sender.protect_rtcp(&compound).expect("protect");
            let second = sender.protect_rtcp(&compound).expect("protect");
            assert_ne!(first, second);
            assert_eq!(receiver.open_rtcp(&second).as_deref(), Ok(&compound[..]));
            assert_eq!(receiver.open_rtcp(&first).as_deref(), Ok(&compound[..]));
            assert_eq!(receiver.open_rtcp(&first), Err(Refused::Replayed));
            for at in 0..first.len() {
                let mut forged = sender.protect_rtcp(&compound).expect("protect");
                forged[at] ^= 1;
                assert!(receiver.open_rtcp(&forged).is_err(), "{profile:?} {at}");
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
                std::hint::black_box(sender.protect_rtp(&packet).expect("protect"));
            }
            let each = start.elapsed() / PACKETS;
            let protected: Vec<_> = (0..1000)
                .map(|number| sender.protect_rtp(&rtp(number, 6, &[7; 1000])).expect("protect"))
                .collect();
            let start = std::time::Instant::now();
            for packet in &protected {
                std::hint::black_box(receiver.open_rtp(packet).expect("open"));
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
            let rtp = sender.protect_rtp(&rtp(1, 2, b"payload")).expect("protect");
            let rtcp = sender
                .protect_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 9])
                .expect("protect");
            for length in 0..rtp.len() {
                assert!(receiver.open_rtp(&rtp[..length]).is_err());
            }
            for length in 0..rtcp.len() {
                assert!(receiver.open_rtcp(&rtcp[..length]).is_err());
            }
            assert!(sender.protect_rtp(&rtp[..11]).is_err());
            assert!(sender.protect_rtcp(&rtcp[..7]).is_err());
        }
    }
}
