//! Clients against a server written for these tests, in virtual time, over a way that loses datagrams.

mod fake_server;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::*;
use fake_server::{Answer, FakeServer};

const LOCAL: &str = "10.0.0.2:5000";
const SERVER: &str = "192.0.2.1:3478";
const PEER: &str = "198.51.100.7:7882";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn server(kind: ServerKind) -> IceServer {
    IceServer {
        kind,
        transport: ServerTransport::Udp,
        url: "turn:192.0.2.1".into(),
        host: "192.0.2.1".into(),
        address: address(SERVER),
        username: "user".into(),
        password: "secret".into(),
        trust: Trust::default(),
    }
}

/// A client's servers, one server, and the way between them.
struct Network {
    now: Instant,
    servers: Servers,
    server: FakeServer,
    /// Others, by address.
    others: HashMap<SocketAddr, FakeServer>,
    /// Those that were asked, in order, each time another than before.
    asked: Vec<SocketAddr>,
    /// Datagrams to the client and to the server.
    to_client: Vec<(SocketAddr, Vec<u8>)>,
    events: Vec<ServersEvent>,
    received: Vec<Vec<u8>>,
    loss: f64,
    random: StdRng,
}

impl Network {
    fn new(server: FakeServer, loss: f64, seed: u64) -> Network {
        println!("seed {seed}");
        Network {
            now: Instant::now(),
            servers: Servers::new(),
            server,
            others: HashMap::new(),
            asked: Vec::new(),
            to_client: Vec::new(),
            events: Vec::new(),
            received: Vec::new(),
            loss,
            random: StdRng::seed_from_u64(seed),
        }
    }

    fn start(&mut self, kind: ServerKind) {
        self.servers.add_local(address(LOCAL), self.now);
        self.servers.add_server(server(kind), self.now);
        self.settle();
    }

    fn lost(&mut self) -> bool {
        self.loss > 0.0 && self.random.random_bool(self.loss)
    }

    /// Carry everything over until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(transmit) = self.servers.poll_transmit() {
                moved = true;
                assert_eq!(transmit.source, address(LOCAL));
                if !self.lost() {
                    let to = transmit.destination;
                    if self.asked.last() != Some(&to) {
                        self.asked.push(to);
                    }
                    let server = match to == address(SERVER) {
                        true => &mut self.server,
                        false => self.others.get_mut(&to).expect("a server that is there"),
                    };
                    let answers = server.handle(self.now, &transmit.contents);
                    self.to_client
                        .extend(answers.into_iter().map(|answer| (to, answer)));
                }
            }
            for (from, datagram) in std::mem::take(&mut self.to_client) {
                moved = true;
                if self.lost() {
                    continue;
                }
                let incoming = self
                    .servers
                    .handle_datagram(self.now, from, address(LOCAL), &datagram);
                if let Incoming::Relayed { peer, contents, .. } = incoming {
                    assert_eq!(peer, address(PEER));
                    self.received.push(contents);
                }
            }
            self.events
                .extend(std::iter::from_fn(|| self.servers.poll_event()));
            if !moved {
                return;
            }
        }
    }

    /// Let time pass, from deadline to deadline.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.servers.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.servers.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    fn relayed(&self) -> SocketAddr {
        self.server.relayed()
    }

    fn say(&mut self, contents: &[u8]) {
        let relayed = self.relayed();
        self.servers.send(self.now, relayed, address(PEER), contents);
        self.settle();
    }
}

#[test]
fn an_allocation_relays_both_ways() {
    let mut network = Network::new(FakeServer::new(), 0.0, 1);
    network.start(ServerKind::Turn);
    let relayed = network.relayed();
    let mapped = fake_server::mapped();
    assert_eq!(
        network.events,
        [
            ServersEvent::Reflexive {
                base: address(LOCAL),
                mapped
            },
            ServersEvent::Relayed {
                relayed,
                local: address(LOCAL)
            },
        ]
    );
    assert!(network.servers.is_relayed(relayed) && !network.servers.is_relayed(address(LOCAL)));
    network.say(b"one");
    network.say(b"two");
    assert_eq!(network.server.relayed_datagrams, [b"one", b"two"]);
    // The fake server echoes what it relays.
    assert_eq!(network.received, [b"one", b"two"]);
    let indication = network
        .server
        .indication(address(PEER), b"from elsewhere on its host");
    network.to_client.push((address(SERVER), indication));
    network.settle();
    assert_eq!(network.received.last().unwrap(), b"from elsewhere on its host");
}

#[test]
fn it_is_kept_alive_however_short_its_life() {
    for lifetime_s in [2, 30, 600, 3600] {
        let mut network = Network::new(FakeServer::new().with_lifetime(lifetime_s), 0.0, 2);
        network.start(ServerKind::Turn);
        network.say(b"before");
        network.run(Duration::from_secs(3 * 3600));
        network.say(b"after");
        assert_eq!(
            network.server.relayed_datagrams,
            [&b"before"[..], b"after"],
            "{lifetime_s} s"
        );
        assert!(network.server.is_alive(network.now));
    }
}

#[test]
fn it_comes_about_and_lasts_over_a_way_that_loses_datagrams() {
    for seed in 0..50 {
        let mut network = Network::new(FakeServer::new().with_lifetime(120), 0.2, seed);
        network.start(ServerKind::Turn);
        network.run(Duration::from_secs(10));
        assert!(
            !network.servers.report()[0].contains("no answer"),
            "{:?}",
            network.servers.report()
        );
        network.run(Duration::from_secs(600));
        assert!(
            network.server.is_alive(network.now),
            "seed {seed}: {:?}",
            network.events
        );
    }
}

#[test]
fn a_nonce_that_became_stale_is_renewed() {
    let mut network = Network::new(FakeServer::new().with_nonce_life(3), 0.0, 3);
    network.start(ServerKind::Turn);
    network.say(b"before");
    network.run(Duration::from_secs(2 * 3600));
    network.say(b"after");
    assert!(network.server.stale_nonces > 3);
    assert_eq!(network.server.relayed_datagrams, [&b"before"[..], b"after"]);
}

#[test]
fn a_server_that_likes_no_nonce_is_left() {
    let mut network = Network::new(FakeServer::new().with_nonce_life(0), 0.0, 4);
    network.start(ServerKind::Turn);
    network.run(Duration::from_secs(60));
    assert!(
        network.servers.report()[0].contains("438"),
        "{:?}",
        network.servers.report()
    );
    assert_eq!(network.servers.poll_timeout(), None);
}

#[test]
fn why_it_failed_is_named() {
    let table = [
        (
            Answer::WrongPassword,
            "refused the credentials (401 Unauthorized)",
        ),
        (
            Answer::Error(486, "Allocation Quota Reached"),
            "486 Allocation Quota Reached",
        ),
        (
            Answer::Error(508, "Insufficient Capacity"),
            "its relay ports are used up",
        ),
        (Answer::Error(300, "Try Alternate"), "300 Try Alternate"),
        (
            Answer::Silence,
            "unreachable: no answer from 192.0.2.1:3478 within 9 s",
        ),
        (
            Answer::NoAddress,
            "no proper TURN: its answer has no relayed address",
        ),
    ];
    for (answer, expected) in table {
        let mut network = Network::new(FakeServer::new().with_answer(answer), 0.0, 5);
        network.start(ServerKind::Turn);
        network.run(Duration::from_secs(60));
        let report = network.servers.report();
        assert!(
            report[0].starts_with("turn:192.0.2.1: ") && report[0].contains(expected),
            "{report:?}"
        );
        assert_eq!(network.events, []);
    }
}

const SECOND: &str = "192.0.2.2:3478";
const THIRD: &str = "192.0.2.3:3479";

impl Network {
    /// Servers that send us from one to the next.
    fn chain(answers: [Answer; 3]) -> Network {
        let [first, second, third] = answers.map(|answer| FakeServer::new().with_answer(answer));
        let mut network = Network::new(first, 0.0, 13);
        network.others.insert(address(SECOND), second);
        network.others.insert(address(THIRD), third);
        network
    }
}

#[test]
fn a_server_that_names_another_is_followed() {
    let mut network = Network::chain([
        Answer::Elsewhere(SECOND),
        Answer::Elsewhere(THIRD),
        Answer::Normal,
    ]);
    network.start(ServerKind::Turn);
    assert_eq!(network.asked, [SERVER, SECOND, THIRD].map(address));
    assert!(
        network.servers.is_relayed(network.relayed()),
        "{:?}",
        network.events
    );
    let report = network.servers.report();
    assert!(
        report.len() == 1 && report[0].contains("relayed address"),
        "{report:?}"
    );
    network.say(b"through the third");
    assert_eq!(network.received, [b"through the third"]);
    network.run(Duration::from_secs(3600));
    assert!(network.others[&address(THIRD)].is_alive(network.now));
}

#[test]
fn servers_that_send_us_in_a_circle_are_left() {
    let circles = [
        [Answer::Elsewhere(SERVER), Answer::Normal, Answer::Normal],
        [
            Answer::Elsewhere(SECOND),
            Answer::Elsewhere(SERVER),
            Answer::Normal,
        ],
        [
            Answer::Elsewhere(SECOND),
            Answer::Elsewhere(THIRD),
            Answer::Elsewhere(SECOND),
        ],
    ];
    for circle in circles {
        let mut network = Network::chain(circle);
        network.start(ServerKind::Turn);
        network.run(Duration::from_secs(60));
        let report = network.servers.report();
        assert!(report[0].contains("300 Try Alternate"), "{report:?}");
        assert!(network.asked.len() <= 3, "{:?}", network.asked);
        assert_eq!(network.servers.poll_timeout(), None);
    }
}

#[test]
fn nobody_else_can_send_us_elsewhere() {
    let mut network = Network::new(FakeServer::new().with_answer(Answer::Silence), 0.0, 14);
    network.servers.add_local(address(LOCAL), network.now);
    network.servers.add_server(server(ServerKind::Turn), network.now);
    let first = network.servers.poll_transmit().expect("a first request");
    let answers = FakeServer::new().handle(network.now, &first.contents);
    network
        .servers
        .handle_datagram(network.now, address(SERVER), address(LOCAL), &answers[0]);
    let second = network.servers.poll_transmit().expect("one with credentials");
    let request = message::Message::parse(&second.contents).expect("a message");
    let forged = FakeServer::alternate(&request, SECOND, None);
    network
        .servers
        .handle_datagram(network.now, address(SERVER), address(LOCAL), &forged);
    network.settle();
    assert!(!network.asked.contains(&address(SECOND)));
}

#[test]
fn one_that_is_lost_is_told_and_may_be_tried_again() {
    let mut network = Network::new(FakeServer::new().with_lifetime(120), 0.0, 6);
    network.start(ServerKind::Turn);
    let relayed = network.relayed();
    network.server.answer = Answer::Error(437, "Allocation Mismatch");
    network.run(Duration::from_secs(120));
    let lost = ServersEvent::Lost {
        relayed,
        local: address(LOCAL),
    };
    assert_eq!(network.events.last(), Some(&lost));
    assert!(!network.servers.is_relayed(relayed));
    network.server.answer = Answer::Normal;
    network.servers.retry(network.now);
    network.settle();
    assert!(network.servers.is_relayed(network.relayed()));
}

#[test]
fn closing_gives_it_back() {
    let mut network = Network::new(FakeServer::new(), 0.0, 7);
    network.start(ServerKind::Turn);
    assert!(network.server.is_alive(network.now));
    network.servers.close(network.now);
    network.settle();
    assert!(!network.server.is_alive(network.now));
    assert_eq!(network.servers.poll_timeout(), None);
}

#[test]
fn a_stun_server_tells_the_address_from_outside() {
    for loss in [0.0, 0.3] {
        let mut network = Network::new(FakeServer::new(), loss, 8);
        network.start(ServerKind::Stun);
        network.run(Duration::from_secs(10));
        let expected = ServersEvent::Reflexive {
            base: address(LOCAL),
            mapped: fake_server::mapped(),
        };
        assert_eq!(network.events, [expected]);
    }
}

#[test]
fn one_server_may_be_asked_both() {
    let mut network = Network::new(FakeServer::new(), 0.0, 12);
    network.start(ServerKind::Turn);
    network.servers.add_server(server(ServerKind::Stun), network.now);
    network.settle();
    let report = network.servers.report();
    assert!(
        report[0].contains("relayed address") && report[1].contains("reflexive address"),
        "{report:?}"
    );
}

#[test]
fn new_credentials_help_a_server_that_had_refused_the_old() {
    let mut network = Network::new(FakeServer::new(), 0.0, 9);
    network.servers.add_local(address(LOCAL), network.now);
    let mut wrong = server(ServerKind::Turn);
    wrong.password = "old".into();
    network.servers.add_server(wrong, network.now);
    network.settle();
    assert!(network.servers.report()[0].contains("credentials"));
    network.servers.add_server(server(ServerKind::Turn), network.now);
    network.settle();
    assert!(network.servers.is_relayed(network.relayed()));
}

#[test]
fn an_address_that_appears_is_used_and_one_that_vanishes_is_not() {
    let mut network = Network::new(FakeServer::new(), 0.0, 10);
    network.servers.add_server(server(ServerKind::Turn), network.now);
    network.settle();
    assert!(network.servers.report()[0].contains("no local address"));
    network.servers.add_local(address(LOCAL), network.now);
    network.settle();
    let relayed = network.relayed();
    assert!(network.servers.is_relayed(relayed));
    network.servers.remove_local(address(LOCAL));
    network.settle();
    assert!(
        matches!(network.events.last(), Some(ServersEvent::Lost { relayed: lost, .. }) if *lost == relayed)
    );
    assert_eq!(network.servers.poll_timeout(), None);
}

#[test]
fn what_others_send_from_the_servers_address_changes_nothing() {
    let mut network = Network::new(FakeServer::new(), 0.0, 11);
    network.start(ServerKind::Turn);
    let forged: [&[u8]; 4] = [b"", b"\x40", &[0x41, 0, 0, 4, 1, 2, 3, 4], &[0, 1, 0, 0]];
    for bytes in forged {
        let incoming = network
            .servers
            .handle_datagram(network.now, address(SERVER), address(LOCAL), bytes);
        assert_eq!(incoming, Incoming::Handled);
    }
    let elsewhere =
        network
            .servers
            .handle_datagram(network.now, address(PEER), address(LOCAL), &[0x40, 0, 0, 0]);
    assert_eq!(elsewhere, Incoming::NotOurs);
    network.say(b"still here");
    assert_eq!(network.received, [b"still here"]);
}
