//! Both sides with copies instead of buffers, for tests.

use super::{Receiver, Refused, Sender};
use crate::error::Result;

impl Sender {
    /// A protected copy of an RTP packet.
    pub(crate) fn protected_rtp(&mut self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut packet = plain.to_vec();
        self.protect_rtp(&mut packet).map(|()| packet)
    }

    /// A protected copy of a compound RTCP packet.
    pub(crate) fn protected_rtcp(&mut self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut compound = plain.to_vec();
        self.protect_rtcp(&mut compound).map(|()| compound)
    }
}

impl Receiver {
    /// A plain copy of an RTP packet.
    pub(crate) fn opened_rtp(&mut self, protected: &[u8]) -> std::result::Result<Vec<u8>, Refused> {
        let mut packet = Vec::new();
        self.open_rtp(protected, &mut packet).map(|()| packet)
    }

    /// A plain copy of a compound RTCP packet.
    pub(crate) fn opened_rtcp(&mut self, protected: &[u8]) -> std::result::Result<Vec<u8>, Refused> {
        let mut compound = Vec::new();
        self.open_rtcp(protected, &mut compound).map(|()| compound)
    }
}
