//! What a peer orders of its worker, and what it makes of the answers.

use std::sync::Arc;

use greenroom_peer::{JobRunner, PeerConfig, PeerEvent};

use super::*;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct Inline;

impl JobRunner for Inline {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// A peer that may share, without a worker.
struct Case {
    peer: Peer,
    sockets: PeerSockets,
    now: Instant,
    /// Told before the remote is known.
    lines: Vec<String>,
}

impl Case {
    fn new() -> Case {
        let now = Instant::now();
        let config = PeerConfig {
            controlling: true,
            repeatable: false,
            payload_types: vec![],
            header_extensions_audio: vec![],
            header_extensions_video: vec![],
        };
        let mut peer = Peer::new(&config, Arc::new(Inline), Arc::new(|| ()), now).unwrap();
        let mut sockets = PeerSockets::default();
        let gathering = Gathering {
            include_loopback: true,
            continually: true,
            ..Gathering::default()
        };
        let lines = sockets.start_later(&mut peer, gathering, vec![HOME], now);
        Case {
            peer,
            sockets,
            now,
            lines,
        }
    }

    /// With the shared socket, towards port 1.
    fn sharing() -> Case {
        let mut case = Case::new();
        case.tell(1);
        case.orders();
        case.handle(SocketEvent::Bound(local(5000)));
        case
    }

    /// The remote names a candidate.
    fn tell(&mut self, port: u16) {
        let line = format!("candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host");
        self.peer.add_remote_candidate(&line, self.now).unwrap();
    }

    fn orders(&mut self) -> Vec<SocketOrder> {
        let mut out = TransmitQueue::new();
        let now = self.now;
        self.sockets.poll(&mut self.peer, || now, &mut out);
        out.orders().to_vec()
    }

    fn handle(&mut self, event: SocketEvent) -> Vec<String> {
        self.sockets.handle(&mut self.peer, event, self.now)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(HOME, port)
}

#[test]
fn what_is_bound_once_the_remote_is_known_is_told() {
    let mut case = Case::new();
    assert!(case.lines[0].contains(" tcp "), "{:?}", case.lines);
    assert_eq!(case.orders(), []);
    case.tell(1);
    case.tell(2);
    assert_eq!(
        case.orders(),
        [SocketOrder::Share(HOME, vec![local(1), local(2)])]
    );
    let lines = case.handle(SocketEvent::Bound(local(5000)));
    assert!(lines[0].contains(" udp ") && lines[0].contains("127.0.0.1 5000"));
    assert_eq!(lines.len(), 1, "TCP was told before: {lines:?}");
    case.tell(3);
    assert_eq!(case.orders(), [SocketOrder::Reach(local(3))]);
}

#[test]
fn a_taken_remote_makes_it_bind_its_own_once_and_tell_the_new_candidate() {
    let mut case = Case::sharing();
    case.handle(SocketEvent::Taken(local(2)));
    case.handle(SocketEvent::Taken(local(3)));
    assert_eq!(case.orders(), [SocketOrder::Bind(HOME)]);
    let lines = case.handle(SocketEvent::Bound(local(6000)));
    assert!(lines[0].contains("127.0.0.1 6000"));
    assert_eq!(lines.len(), 1, "it is the only one: {lines:?}");
}

#[test]
fn a_shared_socket_that_is_lost_is_replaced() {
    let mut case = Case::sharing();
    case.handle(SocketEvent::Lost(local(5000), "gone".into()));
    assert_eq!(case.orders(), [SocketOrder::Share(HOME, vec![local(1)])]);
    let lines = case.handle(SocketEvent::Bound(local(5001)));
    assert!(lines[0].contains("127.0.0.1 5001"), "{lines:?}");
}

#[test]
fn addresses_are_followed_before_and_after_the_remote_is_known() {
    let other: IpAddr = "127.0.0.2".parse().unwrap();
    let mut case = Case::new();
    case.handle(SocketEvent::Addresses(vec![other]));
    assert_eq!(case.orders(), [], "nothing is bound yet");
    case.tell(1);
    assert_eq!(case.orders(), [SocketOrder::Share(other, vec![local(1)])]);
    let bound = SocketAddr::new(other, 5000);
    let lines = case.handle(SocketEvent::Bound(bound));
    assert!(
        lines[1].contains(" tcp ") && lines[1].contains("127.0.0.2"),
        "{lines:?}"
    );
    case.handle(SocketEvent::Addresses(vec![HOME]));
    let orders = case.orders();
    assert_eq!(orders[0], SocketOrder::Unbind(bound));
    assert_eq!(orders[1], SocketOrder::Share(HOME, vec![local(1)]));
}

#[test]
fn without_any_socket_it_fails_and_says_why() {
    let mut case = Case::new();
    case.tell(1);
    case.orders();
    case.handle(SocketEvent::BindFailed(HOME, "no ports".into()));
    let events: Vec<_> = std::iter::from_fn(|| case.peer.poll_event()).collect();
    let reason = "no UDP socket could be bound on any local address (127.0.0.1: no ports)";
    assert!(events.contains(&PeerEvent::Failed(reason.into())), "{events:?}");

    let mut sharing = Case::sharing();
    sharing.handle(SocketEvent::BindFailed(HOME, "no ports".into()));
    assert!(sharing.peer.is_open(), "what it has goes on");
}
