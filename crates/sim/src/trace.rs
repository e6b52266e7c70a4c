//! What happened, as a number that two runs can be compared by, and as lines when asked for.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::fate::Fnv;

/// Lines kept; later ones only count.
const MAX_LINES: usize = 100_000;

#[derive(Default)]
pub(crate) struct Trace {
    hash: Fnv,
    events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keep_lines: bool) -> Trace {
        Trace {
            lines: keep_lines.then(Vec::new),
            ..Trace::default()
        }
    }

    pub(crate) fn text(&mut self, now_ns: u64, text: &str) {
        self.hash.bytes(&now_ns.to_be_bytes());
        self.hash.bytes(text.as_bytes());
        self.events += 1;
        if let Some(lines) = &mut self.lines
            && lines.len() < MAX_LINES
        {
            lines.push(format!("{:.6} {text}", now_ns as f64 / 1e9));
        }
    }

    /// A datagram by its addresses and kind: its bytes and length are random (keys, signatures).
    pub(crate) fn datagram(
        &mut self,
        now_ns: u64,
        what: &str,
        addresses: (SocketAddr, SocketAddr),
        contents: &[u8],
    ) {
        let kind = kind(contents);
        if self.lines.is_some() {
            let mut text = String::new();
            let _ = write!(text, "{what} {kind} {} > {}", addresses.0, addresses.1);
            return self.text(now_ns, &text);
        }
        self.hash.bytes(&now_ns.to_be_bytes());
        self.hash.bytes(what.as_bytes());
        self.hash.bytes(kind.as_bytes());
        self.hash.address(addresses.0);
        self.hash.address(addresses.1);
        self.events += 1;
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.value()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// RFC 7983.
fn kind(contents: &[u8]) -> &'static str {
    match contents.first() {
        Some(0..=3) => "stun",
        Some(20..=63) => "dtls",
        Some(128..=191) => match contents.get(1) {
            Some(192..=223) => "rtcp",
            _ => "rtp",
        },
        _ => "other",
    }
}
