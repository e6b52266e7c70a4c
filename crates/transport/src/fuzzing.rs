//! The way of the fuzz targets to what this crate keeps to itself; compiled only for them (`--cfg fuzzing`).

use crate::sctp::{DcepMessage, OpenMessage};
use crate::srtp::{Profile, Receiver, Refused, Sender, from_keying_material};

/// Enough for the longest keys and salts of both directions.
const KEYING_MATERIAL: [u8; 88] = [0x5A; 88];

/// What parses as a channel's opening is written and read the same.
pub fn check_dcep(bytes: &[u8]) {
    if let Some(DcepMessage::Open(open)) = DcepMessage::parse(bytes) {
        let again = DcepMessage::parse(&OpenMessage::to_bytes(&open));
        assert_eq!(again, Some(DcepMessage::Open(open)));
    }
}

/// One direction of protected media.
pub struct SrtpSession {
    sender: Sender,
    receiver: Receiver,
}

impl SrtpSession {
    /// Any number chooses one of the profiles.
    pub fn new(profile: u8) -> SrtpSession {
        let profile = [
            Profile::Aes128CmHmacSha1With80Bits,
            Profile::AeadAes128Gcm,
            Profile::AeadAes256Gcm,
        ][usize::from(profile % 3)];
        let (sender, _) = from_keying_material(profile, &KEYING_MATERIAL, true).expect("keys");
        let (_, receiver) = from_keying_material(profile, &KEYING_MATERIAL, false).expect("keys");
        SrtpSession { sender, receiver }
    }

    /// Nobody without the keys makes a packet that is taken.
    pub fn check_forged_rtp(&mut self, packet: &[u8]) {
        assert!(self.receiver.opened_rtp(packet).is_err());
    }

    /// As [`SrtpSession::check_forged_rtp`].
    pub fn check_forged_rtcp(&mut self, packet: &[u8]) {
        assert!(self.receiver.opened_rtcp(packet).is_err());
    }

    /// What can be protected is opened, once.
    pub fn check_rtp(&mut self, plain: &[u8]) {
        let Ok(protected) = self.sender.protected_rtp(plain) else {
            return;
        };
        match self.receiver.opened_rtp(&protected) {
            Ok(opened) => assert_eq!(opened, plain),
            Err(refused) => assert_eq!(refused, Refused::Replayed),
        }
        assert!(self.receiver.opened_rtp(&protected).is_err());
    }

    /// As [`SrtpSession::check_rtp`]; indices are never used twice.
    pub fn check_rtcp(&mut self, plain: &[u8]) {
        let Ok(protected) = self.sender.protected_rtcp(plain) else {
            return;
        };
        assert_eq!(self.receiver.opened_rtcp(&protected).as_deref(), Ok(plain));
        assert_eq!(self.receiver.opened_rtcp(&protected), Err(Refused::Replayed));
    }
}
