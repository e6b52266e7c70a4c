//! Channels to peers (RFC 8656 section 12). Binding one also permits its peer's address, so nothing else is needed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const FIRST_CHANNEL: u16 = 0x4000;
const LAST_CHANNEL: u16 = 0x4FFF;
/// Peers beyond this are not relayed to; ICE has at most 100 candidates of the remote's.
const MAX_PEERS: usize = 128;
/// Datagrams that wait for a channel; later ones are lost, as on any network.
const MAX_WAITING: usize = 16;
/// Permissions live 5 minutes, channels 10: one request renews both.
const RENEW_INTERVAL: Duration = Duration::from_secs(240);
const REFUSAL_INTERVAL: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 4;

enum State {
    Binding {
        waiting: Vec<Vec<u8>>,
    },
    Bound,
    /// The server does not relay there, or did not answer; asked again after a while.
    Refused {
        until: Instant,
    },
}

struct Channel {
    number: u16,
    state: State,
    renew_at: Option<Instant>,
}

/// What becomes of a datagram for a peer.
pub(crate) enum Route {
    /// Send this to the server.
    Send(Vec<u8>),
    /// It waits; a channel must be bound first.
    Bind,
    Wait,
    Drop,
}

pub(crate) struct Channels {
    by_peer: HashMap<SocketAddr, Channel>,
    by_number: HashMap<u16, SocketAddr>,
    /// On a stream each message fills up to four bytes.
    padded: bool,
}

impl Channels {
    pub fn new(padded: bool) -> Channels {
        Channels {
            by_peer: HashMap::new(),
            by_number: HashMap::new(),
            padded,
        }
    }

    pub fn clear(&mut self) {
        self.by_peer.clear();
        self.by_number.clear();
    }

    /// The number of this peer's channel, which `route` has made.
    pub fn number(&self, peer: SocketAddr) -> u16 {
        self.by_peer
            .get(&peer)
            .map_or(FIRST_CHANNEL, |channel| channel.number)
    }

    pub fn route(&mut self, now: Instant, peer: SocketAddr, contents: &[u8]) -> Route {
        if let Some(channel) = self.by_peer.get_mut(&peer) {
            let framed = || frame(channel.number, contents, self.padded);
            return match &mut channel.state {
                State::Bound => Route::Send(framed()),
                State::Refused { until } if *until > now => Route::Drop,
                State::Refused { .. } => {
                    let waiting = vec![framed()];
                    channel.state = State::Binding { waiting };
                    Route::Bind
                }
                State::Binding { waiting } if waiting.len() < MAX_WAITING => {
                    waiting.push(framed());
                    Route::Wait
                }
                State::Binding { .. } => Route::Drop,
            };
        }
        let number = FIRST_CHANNEL + self.by_peer.len() as u16;
        if self.by_peer.len() >= MAX_PEERS || number > LAST_CHANNEL {
            return Route::Drop;
        }
        let waiting = vec![frame(number, contents, self.padded)];
        let channel = Channel {
            number,
            state: State::Binding { waiting },
            renew_at: None,
        };
        self.by_peer.insert(peer, channel);
        self.by_number.insert(number, peer);
        Route::Bind
    }

    /// The channel is open, or renewed; what waited for it.
    pub fn bound(&mut self, peer: SocketAddr, now: Instant) -> Vec<Vec<u8>> {
        let Some(channel) = self.by_peer.get_mut(&peer) else {
            return Vec::new();
        };
        channel.renew_at = Some(now + RENEW_INTERVAL);
        match std::mem::replace(&mut channel.state, State::Bound) {
            State::Binding { waiting } => waiting,
            State::Bound | State::Refused { .. } => Vec::new(),
        }
    }

    pub fn refused(&mut self, peer: SocketAddr, now: Instant) {
        if let Some(channel) = self.by_peer.get_mut(&peer) {
            let until = now + REFUSAL_INTERVAL;
            channel.state = State::Refused { until };
            channel.renew_at = None;
        }
    }

    /// A peer whose channel is to be renewed now, once.
    pub fn due(&mut self, now: Instant) -> Option<SocketAddr> {
        let is_due = |channel: &Channel| channel.renew_at.is_some_and(|at| at <= now);
        let (peer, channel) = self.by_peer.iter_mut().find(|(_, channel)| is_due(channel))?;
        channel.renew_at = None;
        Some(*peer)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.by_peer.values().filter_map(|channel| channel.renew_at).min()
    }

    /// None: it is no ChannelData at all. Some(None): of a channel that is not ours.
    #[allow(clippy::type_complexity)]
    pub fn unframe<'a>(&self, bytes: &'a [u8]) -> Option<Option<(SocketAddr, &'a [u8])>> {
        let [high @ 0x40..=0x4F, low, length_high, length_low, rest @ ..] = bytes else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let peer = self.by_number.get(&u16::from_be_bytes([*high, *low]));
        Some(peer.copied().zip(rest.get(..length)))
    }
}

fn frame(number: u16, contents: &[u8], padded: bool) -> Vec<u8> {
    let mut framed = Vec::with_capacity(HEADER_BYTES + contents.len() + 3);
    framed.extend_from_slice(&number.to_be_bytes());
    framed.extend_from_slice(&(contents.len() as u16).to_be_bytes());
    framed.extend_from_slice(contents);
    if padded {
        framed.resize(framed.len().next_multiple_of(4), 0);
    }
    framed
}
