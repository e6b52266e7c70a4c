//! The receiving side of an SRTP session (RFC 3711 section 3.3, steps of the receiver).
//!
//! In: protected packets of the peer. Out: plain copies in the caller's buffers, or why a packet was refused. State: a replay window for
//! each of the peer's SSRCs, made only once a packet of it has proven authentic.

use std::fmt;

use super::cipher::{Cipher, Position, rtcp_index};
use super::context::{BySource, read_u16, read_u32, rtp_header_bytes};
use super::replay::{ReplayWindow, estimate_index};

/// How many sources of the peer are tracked; more are refused, only an abusive peer has them.
const MAX_SOURCES: usize = 4096;

/// Why an incoming packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed,
    Unauthenticated,
    Replayed,
}

/// Opens incoming packets.
pub(crate) struct Receiver {
    rtp: Cipher,
    rtcp: Cipher,
    pub(super) rtp_sources: BySource<ReplayWindow>,
    rtcp_sources: BySource<ReplayWindow>,
}

impl Receiver {
    /// A side without any source yet.
    pub(super) fn new(rtp: Cipher, rtcp: Cipher) -> Receiver {
        Receiver {
            rtp,
            rtcp,
            rtp_sources: BySource::default(),
            rtcp_sources: BySource::default(),
        }
    }

    /// Fills `packet` with the plain RTP packet inside a protected one; with anything when it is refused.
    pub(crate) fn open_rtp(
        &mut self,
        protected: &[u8],
        packet: &mut Vec<u8>,
    ) -> std::result::Result<(), Refused> {
        let header_bytes = rtp_header_bytes(protected).ok_or(Refused::Malformed)?;
        let (sequence_number, ssrc) = (read_u16(protected, 2), read_u32(protected, 8));
        let known = self.rtp_sources.get_mut(&ssrc);
        let highest = known.as_ref().and_then(|window| window.highest());
        let index = estimate_index(highest, sequence_number);
        if known.as_ref().is_some_and(|window| !window.admits(index)) {
            return Err(Refused::Replayed);
        }
        packet.clear();
        packet.extend_from_slice(protected);
        if !self.rtp.open_rtp(packet, header_bytes, Position { ssrc, index }) {
            return Err(Refused::Unauthenticated);
        }
        match known {
            Some(window) => window.record(index),
            None => record_new(&mut self.rtp_sources, ssrc, index)?,
        }
        Ok(())
    }

    /// As [`Receiver::open_rtp`], for a compound RTCP packet.
    pub(crate) fn open_rtcp(
        &mut self,
        protected: &[u8],
        packet: &mut Vec<u8>,
    ) -> std::result::Result<(), Refused> {
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
        packet.clear();
        packet.extend_from_slice(protected);
        if !self.rtcp.open_rtcp(packet, Position { ssrc, index }) {
            return Err(Refused::Unauthenticated);
        }
        match known {
            Some(window) => window.record(index),
            None => record_new(&mut self.rtcp_sources, ssrc, index)?,
        }
        Ok(())
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

impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Receiver")
            .field("sources", &self.rtp_sources.len())
            .finish_non_exhaustive()
    }
}
