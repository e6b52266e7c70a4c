//! Candidate lines of RFC 8839: writing ours and reading the peer's.

use std::net::SocketAddr;

use is::Candidate;

use crate::error::{Result, TransportError};
use crate::types::Protocol;

/// One host candidate of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalCandidate {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    pub(super) advertised: SocketAddr,
}

/// The line that describes one of our candidates; earlier ones are preferred.
pub(super) fn candidate_line(index: usize, candidate: &LocalCandidate) -> String {
    const HOST_PREFERENCE: u32 = 126;
    let (name, preference, suffix) = match candidate.protocol {
        Protocol::Udp => ("udp", 32_768 + 1000, ""),
        Protocol::Tcp => ("tcp", 1000, " tcptype passive"),
    };
    let preference = preference - (index as u32).min(999);
    let priority = (HOST_PREFERENCE << 24) | (preference << 8) | 255;
    let (ip, port) = (candidate.advertised.ip(), candidate.advertised.port());
    format!(
        "candidate:{} 1 {name} {priority} {ip} {port} typ host{suffix}",
        index + 1
    )
}

/// A usable candidate of the peer; `None` for the end of candidates and for kinds we cannot use.
pub(super) fn parse_remote_candidate(line: &str) -> Result<Option<Candidate>> {
    let text = line.trim();
    let text = text.strip_prefix("a=").unwrap_or(text);
    if text.is_empty() || text == "end-of-candidates" {
        return Ok(None);
    }
    let refuse = |reason: String| TransportError::Candidate {
        line: line.chars().take(300).collect(),
        reason,
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    let &[_, component, transport, _, address, port, ..] = &fields[..] else {
        return Err(refuse("it has fewer than six fields".to_owned()));
    };
    // The peer connects to us for TCP, mDNS names cannot be resolved, and only component 1 exists.
    let is_unusable = component != "1"
        || !transport.eq_ignore_ascii_case("udp")
        || address.ends_with(".local")
        || port == "0";
    if is_unusable {
        return Ok(None);
    }
    Candidate::from_sdp_string(text)
        .map(Some)
        .map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_candidates_are_parsed_and_others_ignored() {
        let usable = [
            "candidate:1 1 udp 2113929471 203.0.113.100 10100 typ host",
            "a=candidate:1 1 UDP 2113929471 127.0.0.1 10100 typ host generation 0 ufrag abcd",
            "candidate:2 1 udp 1 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 4 network-cost 999",
        ];
        for line in usable {
            assert!(parse_remote_candidate(line).expect(line).is_some(), "{line}");
        }
        let ignored = [
            "",
            "a=end-of-candidates",
            "candidate:1 1 udp 2113929471 0f0e-1.local 10100 typ host",
            "candidate:1 1 tcp 2113929471 10.0.0.1 9 typ host tcptype active",
            "candidate:1 2 udp 2113929471 10.0.0.1 9 typ host",
        ];
        for line in ignored {
            assert!(parse_remote_candidate(line).expect(line).is_none(), "{line}");
        }
        for line in [
            "rubbish",
            "candidate:1 1 udp x 10.0.0.1 9 typ host",
            "candidate:1 1 udp 1 nowhere 9 typ host",
        ] {
            assert!(parse_remote_candidate(line).is_err(), "{line}");
        }
    }
}
