//! Against str0m, the library behind our own client, in both roles of ICE and DTLS.

mod common;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{certificate, rtp};
use greenroom_transport::{
    BufferPool, ChannelConfig, ChannelId, Protocol, Received, RemoteParameters, Transmit, Transport,
    TransportConfig, TransportEvent,
};
use str0m::channel::{ChannelConfig as PeerChannelConfig, Reliability};
use str0m::config::{DtlsVersion, Fingerprint};
use str0m::ice::IceCreds;
use str0m::media::MediaKind;
use str0m::net::{Protocol as PeerProtocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

const DELAY: Duration = Duration::from_millis(3);
const RTP_TO_SERVER: u32 = 1001;
const RTP_TO_CLIENT: u32 = 1002;

/// A server of ours and a client of theirs on one simulated wire.
struct Scene {
    now: Instant,
    server: Transport,
    client: Rtc,
    client_deadline: Instant,
    server_address: SocketAddr,
    client_address: SocketAddr,
    /// Whether a packet from or to this address of the client is lost.
    is_lost: fn(client_address: SocketAddr, contents: &[u8]) -> bool,
    protocol: Protocol,
    /// With the client's address.
    to_server: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    to_client: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    server_events: Vec<TransportEvent>,
    client_events: Vec<Event>,
}

#[derive(Debug, Clone, Copy)]
struct Roles {
    server_controls: bool,
    server_is_dtls_client: bool,
    version: DtlsVersion,
    protocol: Protocol,
}

const USUAL: Roles = Roles {
    server_controls: false,
    server_is_dtls_client: false,
    version: DtlsVersion::Dtls12,
    protocol: Protocol::Udp,
};

impl Scene {
    fn new(roles: Roles) -> Scene {
        let now = Instant::now();
        let server_address = "10.0.0.1:5000".parse().expect("address");
        let client_address = "10.0.0.2:6000".parse().expect("address");
        let mut config = TransportConfig::new(certificate());
        config.controlling = roles.server_controls;
        let mut server = Transport::new(config, now);
        server.add_local_host_candidate(roles.protocol, server_address, server_address);
        let client = RtcConfig::new()
            .set_rtp_mode(true)
            .set_dtls_version(roles.version)
            .build(now);
        let mut scene = Scene {
            now,
            server,
            client,
            client_deadline: now,
            server_address,
            client_address,
            is_lost: |_, _| false,
            protocol: roles.protocol,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            server_events: Vec::new(),
            client_events: Vec::new(),
        };
        scene.introduce(roles);
        // str0m starts its checks with its clock.
        scene.client.handle_input(Input::Timeout(now)).expect("time");
        scene
    }

    fn introduce(&mut self, roles: Roles) {
        let peer_protocol = match roles.protocol {
            Protocol::Udp => PeerProtocol::Udp,
            Protocol::Tcp => PeerProtocol::Tcp,
        };
        let candidate = Candidate::host(self.client_address, peer_protocol).expect("candidate");
        let line = candidate.to_sdp_string();
        self.client.add_local_candidate(candidate);
        let server_candidate = Candidate::host(self.server_address, peer_protocol).expect("candidate");
        self.client.add_remote_candidate(server_candidate);
        let credentials = self.server.local_credentials().clone();
        let mut api = self.client.direct_api();
        api.set_ice_controlling(!roles.server_controls);
        let ours = api.local_ice_credentials();
        let fingerprint = api.local_dtls_fingerprint().to_string();
        api.set_remote_ice_credentials(IceCreds {
            ufrag: credentials.ufrag,
            pass: credentials.pwd,
        });
        let theirs: Fingerprint = certificate().fingerprint().parse().expect("fingerprint");
        api.set_remote_fingerprint(theirs);
        api.start_dtls(!roles.server_is_dtls_client).expect("DTLS");
        api.start_sctp(!roles.server_is_dtls_client);
        let parameters = RemoteParameters {
            ice_ufrag: ours.ufrag,
            ice_pwd: ours.pass,
            fingerprint,
            dtls_active: roles.server_is_dtls_client,
            ice_lite: false,
            max_message_size: 256 * 1024,
        };
        self.server.set_remote(parameters, self.now).expect("parameters");
        self.server.add_remote_candidate(&line).expect("candidate");
    }

    fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            self.server_events.push(event);
        }
        while let Some(transmit) = self.server.poll_transmit() {
            assert_eq!(transmit.protocol, self.protocol);
            let (to, contents) = (transmit.destination, transmit.contents);
            self.to_client.push_back((self.now + DELAY, to, contents));
        }
        loop {
            match self.client.poll_output().expect("client") {
                Output::Timeout(deadline) => {
                    self.client_deadline = deadline;
                    return;
                }
                Output::Transmit(transmit) => {
                    let (from, contents) = (transmit.source, transmit.contents.to_vec());
                    self.to_server.push_back((self.now + DELAY, from, contents));
                }
                Output::Event(event) => self.client_events.push(event),
            }
        }
    }

    fn step(&mut self) {
        self.drain();
        let arrivals = [&self.to_server, &self.to_client].map(|wire| wire.front().map(|packet| packet.0));
        let timers = [self.server.poll_timeout(), Some(self.client_deadline)];
        let next = arrivals
            .into_iter()
            .chain(timers)
            .flatten()
            .min()
            .expect("the client has a timer");
        self.now = self.now.max(next);
        while self.to_server.front().is_some_and(|packet| packet.0 <= self.now) {
            let (_, from, contents) = self.to_server.pop_front().expect("packet");
            if !(self.is_lost)(from, &contents) {
                self.feed_server(from, &contents);
            }
        }
        while self.to_client.front().is_some_and(|packet| packet.0 <= self.now) {
            let (_, to, contents) = self.to_client.pop_front().expect("packet");
            if !(self.is_lost)(to, &contents) {
                self.feed_client(to, &contents);
            }
        }
        self.server.handle_timeout(self.now);
        self.client.handle_input(Input::Timeout(self.now)).expect("time");
        self.drain();
    }

    fn feed_server(&mut self, from: SocketAddr, contents: &[u8]) {
        let received = Received {
            protocol: self.protocol,
            source: from,
            destination: self.server_address,
            contents,
        };
        self.server
            .handle_datagram(self.now, received, &mut BufferPool::default());
    }

    fn feed_client(&mut self, to: SocketAddr, contents: &[u8]) {
        let protocol = match self.protocol {
            Protocol::Udp => PeerProtocol::Udp,
            Protocol::Tcp => PeerProtocol::Tcp,
        };
        let receive = Receive::new(protocol, self.server_address, to, contents);
        let input = Input::Receive(self.now, receive.expect("packet"));
        self.client.handle_input(input).expect("input");
        self.drain();
    }

    #[track_caller]
    fn run_until(&mut self, mut condition: impl FnMut(&Scene) -> bool) {
        let limit = self.now + Duration::from_secs(20);
        while !condition(self) {
            self.step();
            assert!(
                self.now < limit,
                "{:?}\n{:?}",
                self.server_events,
                self.client_events
            );
        }
    }

    fn run_for(&mut self, time: Duration) {
        let limit = self.now + time;
        while self.now < limit {
            self.step();
        }
    }

    fn is_connected(&self) -> bool {
        let is_up = |event: &Event| matches!(event, Event::Connected);
        self.server.is_connected() && self.client_events.iter().any(is_up)
    }

    fn server_channel(&self, wanted: &str) -> Option<ChannelId> {
        self.server_events.iter().find_map(|event| match event {
            TransportEvent::ChannelOpen { id, label } if label == wanted => Some(*id),
            _ => None,
        })
    }

    fn client_channel(&self, wanted: &str) -> Option<str0m::channel::ChannelId> {
        self.client_events.iter().find_map(|event| match event {
            Event::ChannelOpen(id, label) if label == wanted => Some(*id),
            _ => None,
        })
    }
}

fn all_roles() -> Vec<Roles> {
    let mut roles = Vec::new();
    for server_controls in [false, true] {
        for version in [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto] {
            roles.push(Roles {
                server_controls,
                version,
                ..USUAL
            });
        }
        for version in [DtlsVersion::Dtls12, DtlsVersion::Auto] {
            roles.push(Roles {
                server_controls,
                server_is_dtls_client: true,
                version,
                ..USUAL
            });
        }
    }
    roles.push(Roles {
        protocol: Protocol::Tcp,
        ..USUAL
    });
    roles
}

#[test]
fn every_role_and_version_connects_quickly() {
    for roles in all_roles() {
        let mut scene = Scene::new(roles);
        let start = scene.now;
        scene.run_until(Scene::is_connected);
        let took = scene.now - start;
        assert!(took < Duration::from_millis(100), "{roles:?} took {took:?}");
    }
}

#[test]
fn channels_work_in_both_directions_from_both_sides() {
    for roles in all_roles() {
        let mut scene = Scene::new(roles);
        let lossy = ChannelConfig {
            label: "_lossy".into(),
            ordered: false,
            max_retransmits: Some(0),
        };
        scene.server.open_channel(lossy);
        scene.client.direct_api().create_data_channel(PeerChannelConfig {
            label: "_reliable".into(),
            reliability: Reliability::Reliable,
            ordered: true,
            ..Default::default()
        });
        for label in ["_lossy", "_reliable"] {
            scene.run_until(|scene| {
                scene.server_channel(label).is_some() && scene.client_channel(label).is_some()
            });
            let ours = scene.server_channel(label).expect("open");
            let theirs = scene.client_channel(label).expect("open");
            assert!(scene.server.send_message(ours, &[1; 5000]).expect("send"));
            assert!(scene.server.send_message(ours, b"").expect("send"));
            for (binary, data) in [(true, &[2; 6000][..]), (false, "tëxt".as_bytes())] {
                assert!(
                    scene
                        .client
                        .channel(theirs)
                        .expect("channel")
                        .write(binary, data)
                        .expect("write")
                );
            }
            scene.run_for(Duration::from_millis(500));
            let sent_by_client: Vec<_> = scene
                .server_events
                .iter()
                .filter_map(|event| match event {
                    TransportEvent::ChannelMessage { id, data } if *id == ours => Some(data.clone()),
                    _ => None,
                })
                .collect();
            assert_eq!(
                sent_by_client,
                [vec![2; 6000], "tëxt".as_bytes().to_vec()],
                "{roles:?} {label}"
            );
            let sent_by_server: Vec<_> = scene
                .client_events
                .iter()
                .filter_map(|event| match event {
                    Event::ChannelData(data) if data.id == theirs => Some(data.data.clone()),
                    _ => None,
                })
                .collect();
            assert_eq!(sent_by_server, [vec![1; 5000], vec![]], "{roles:?} {label}");
        }
    }
}

#[test]
fn a_channel_closed_by_either_side_closes_on_the_other() {
    for server_closes in [false, true] {
        let mut scene = Scene::new(USUAL);
        let config = ChannelConfig {
            label: "short".into(),
            ordered: true,
            max_retransmits: None,
        };
        scene.server.open_channel(config);
        scene.run_until(|scene| {
            scene.server_channel("short").is_some() && scene.client_channel("short").is_some()
        });
        let ours = scene.server_channel("short").expect("open");
        let theirs = scene.client_channel("short").expect("open");
        if server_closes {
            scene.server.close_channel(ours);
        } else {
            scene.client.direct_api().close_data_channel(theirs);
        }
        scene.run_until(|scene| {
            let is_closed = |event: &Event| matches!(event, Event::ChannelClose(id) if *id == theirs);
            scene.server_events.contains(&TransportEvent::ChannelClosed(ours))
                && scene.client_events.iter().any(is_closed)
        });
    }
}

#[test]
fn rtp_and_feedback_flow_in_both_directions() {
    for roles in all_roles() {
        let mut scene = Scene::new(roles);
        let mid = "0".into();
        let mut api = scene.client.direct_api();
        api.declare_media(mid, MediaKind::Audio);
        api.declare_stream_tx(RTP_TO_SERVER.into(), None, mid, None);
        api.expect_stream_rx(RTP_TO_CLIENT.into(), None, mid, None);
        scene.run_until(Scene::is_connected);
        for number in 0..50u16 {
            scene
                .server
                .send_rtp(rtp(
                    65_520u16.wrapping_add(number),
                    RTP_TO_CLIENT,
                    b"to the client",
                ))
                .expect("RTP");
            let wallclock = scene.now;
            let mut api = scene.client.direct_api();
            let stream = api.stream_tx(&RTP_TO_SERVER.into()).expect("stream");
            let sequence_number = (65_500 + u64::from(number)).into();
            let payload = b"to the server".to_vec();
            let write = RtpWrite::new(
                111.into(),
                sequence_number,
                960 * u32::from(number),
                wallclock,
                payload,
            );
            stream.write_rtp(write);
            scene.run_for(Duration::from_millis(20));
        }
        // str0m reports about audio every five seconds.
        scene.run_for(Duration::from_secs(12));
        let to_client = scene.client_events.iter().filter(
            |event| matches!(event, Event::RtpPacket(packet) if packet.payload[..] == b"to the client"[..]),
        );
        assert_eq!(to_client.count(), 50, "{roles:?}");
        let to_server = scene.server_events.iter().filter(
            |event| matches!(event, TransportEvent::Rtp(packet) if packet.ends_with(b"to the server")),
        );
        assert_eq!(to_server.count(), 50, "{roles:?}");
        let reports = scene
            .server_events
            .iter()
            .filter(|event| matches!(event, TransportEvent::Rtcp(_)));
        assert!(reports.count() >= 2, "{roles:?}");
        let statistics = scene.server.statistics();
        assert_eq!(
            (statistics.unauthenticated_packets, statistics.replayed_packets),
            (0, 0)
        );
    }
}

#[test]
fn either_side_can_end_the_connection() {
    let mut scene = Scene::new(USUAL);
    scene.run_until(Scene::is_connected);
    // str0m cannot end an SCTP association that is not up yet.
    scene.run_for(Duration::from_millis(500));
    let now = scene.now;
    scene.server.close(now);
    scene.run_for(Duration::from_secs(1));
    let is_over = |event: &Event| {
        matches!(
            event,
            Event::Closed | Event::IceConnectionStateChange(IceConnectionState::Disconnected)
        )
    };
    assert!(
        scene.client_events.iter().any(is_over),
        "{:?}",
        scene.client_events
    );
}

const FIRST_ADDRESS: &str = "10.0.0.2:6000";
const SECOND_ADDRESS: &str = "10.0.1.2:6000";

fn is_address(address: SocketAddr, text: &str) -> bool {
    address == text.parse().expect("address")
}

#[test]
fn a_client_that_loses_an_address_is_followed_to_its_other_one() {
    type IsLost = fn(SocketAddr, &[u8]) -> bool;
    let table: [(&str, bool, u64, IsLost); 2] = [
        // str0m checks a pair every three seconds.
        ("its next check nominates", false, 3_200, |address, _| {
            is_address(address, FIRST_ADDRESS)
        }),
        ("data comes, but no check", true, 1_100, |address, contents| {
            is_address(address, FIRST_ADDRESS) || contents[0] < 4
        }),
    ];
    for (name, sends, within_ms, is_lost) in table {
        let mut scene = Scene::new(USUAL);
        let first = Candidate::host(scene.client_address, PeerProtocol::Udp).expect("candidate");
        let second = Candidate::host(SECOND_ADDRESS.parse().expect("address"), PeerProtocol::Udp);
        scene.client.add_local_candidate(second.expect("candidate"));
        let channel = PeerChannelConfig {
            label: "data".into(),
            reliability: Reliability::Reliable,
            ordered: true,
            ..Default::default()
        };
        scene.client.direct_api().create_data_channel(channel);
        scene.run_until(|scene| scene.client_channel("data").is_some());
        let channel = scene.client_channel("data").expect("open");
        scene.run_for(Duration::from_secs(10));
        assert_eq!(
            scene.server.selected_pair(),
            Some((scene.server_address, scene.client_address))
        );
        scene.client.direct_api().invalidate_candidate(&first);
        scene.is_lost = is_lost;
        let limit = scene.now + Duration::from_millis(within_ms);
        while scene.now < limit {
            if sends {
                let mut channel = scene.client.channel(channel).expect("channel");
                channel.write(true, &[1]).expect("write");
            }
            scene.run_for(Duration::from_millis(50));
        }
        let (_, destination) = scene.server.selected_pair().expect("pair");
        assert!(is_address(destination, SECOND_ADDRESS), "{name}: {destination}");
    }
}

#[test]
fn the_server_stays_with_the_best_of_several_nominated_pairs() {
    let mut scene = Scene::new(USUAL);
    let relay: SocketAddr = SECOND_ADDRESS.parse().expect("address");
    let host = Candidate::host(scene.client_address, PeerProtocol::Udp).expect("candidate");
    scene.client.direct_api().invalidate_candidate(&host);
    let relayed = Candidate::relayed(relay, relay, PeerProtocol::Udp).expect("candidate");
    scene.client.add_local_candidate(relayed);
    scene.run_until(Scene::is_connected);
    scene.run_for(Duration::from_secs(10));
    scene.client.add_local_candidate(host);
    scene.run_for(Duration::from_secs(4));
    let best = Some((scene.server_address, scene.client_address));
    assert_eq!(scene.server.selected_pair(), best);
    for _ in 0..600 {
        scene.run_for(Duration::from_millis(100));
        assert_eq!(scene.server.selected_pair(), best);
    }
}

/// Keeps the type in the public API honest: packets are plain values.
#[test]
fn packets_are_comparable_values() {
    let packet = Transmit {
        protocol: Protocol::Udp,
        source: "10.0.0.1:1".parse().expect("address"),
        destination: "10.0.0.2:2".parse().expect("address"),
        contents: vec![1],
    };
    assert_eq!(packet, packet.clone());
}
