//! Connecting, failing, restarting, closing, and what strangers send.

mod common;

use std::time::Duration;

use common::{LEFT, Link, Pair, RIGHT, address, config, new_peer};
use greenroom_peer::{PeerError, PeerEvent};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn failure(pair: &Pair, side: usize) -> Option<&str> {
    pair.events[side].iter().find_map(|event| match event {
        PeerEvent::Failed(reason) => Some(reason.as_str()),
        _ => None,
    })
}

#[test]
fn two_peers_connect_within_a_few_round_trips() {
    let pair = Pair::connected(1);
    let took = pair.now - pair.start;
    assert!(took < Duration::from_millis(600), "{took:?}");
    for side in [LEFT, RIGHT] {
        let connected: Vec<_> = pair.events[side]
            .iter()
            .filter(|event| **event == PeerEvent::Connected)
            .collect();
        assert_eq!(connected.len(), 1);
        assert!(pair.saw(side, |event| *event == PeerEvent::IceState("connected")));
        let transport = pair.peers[side].statistics().transport;
        assert_eq!(
            (transport.ice_state, transport.dtls_state),
            ("connected", "connected")
        );
        assert_eq!(transport.remote_candidate, Some(address(1 - side).to_string()));
    }
}

#[test]
fn peers_connect_over_a_bad_link() {
    for seed in 0..5 {
        let mut pair = Pair::new(seed);
        pair.link = Link {
            delay: Duration::from_millis(60),
            jitter: Duration::from_millis(40),
            loss: 0.2,
            ..Link::default()
        };
        pair.exchange_candidates();
        pair.exchange_descriptions();
        pair.run_until("both connected", |pair| {
            pair.both(|event| *event == PeerEvent::Connected)
        });
    }
}

#[test]
fn a_dead_path_fails_after_15_seconds_and_names_the_pairs() {
    let mut pair = Pair::new(2);
    pair.link.loss = 1.0;
    pair.exchange_candidates();
    pair.exchange_descriptions();
    pair.run_for(Duration::from_millis(14_900));
    assert_eq!(failure(&pair, LEFT), None);
    pair.run_for(Duration::from_millis(200));
    let reason = failure(&pair, LEFT).expect("failed");
    assert!(reason.contains("udp 10.0.0.1:5000 -> 10.0.0.2:5001"), "{reason}");
    let now = pair.now;
    assert_eq!(pair.peers[LEFT].restart_ice(now), Err(PeerError::Closed));
    assert_eq!(pair.peers[LEFT].poll_timeout(), None);
}

#[test]
fn a_path_that_dies_later_fails_too() {
    let mut pair = Pair::connected(3);
    pair.link.loss = 1.0;
    pair.run_for(Duration::from_secs(60));
    assert!(pair.saw(LEFT, |event| *event == PeerEvent::IceState("disconnected")));
    assert!(failure(&pair, LEFT).is_some());
    assert!(failure(&pair, RIGHT).is_some());
}

#[test]
fn a_silent_path_is_noticed_early_and_an_idle_one_is_not_silent() {
    let mut pair = Pair::connected(3);
    pair.run_for(Duration::from_secs(60));
    pair.events = [vec![], vec![]];
    pair.link.loss = 1.0;
    pair.run_for(Duration::from_secs(8));
    pair.link.loss = 0.0;
    pair.run_for(Duration::from_secs(8));
    for side in [LEFT, RIGHT] {
        let states: Vec<_> = pair.events[side]
            .iter()
            .filter(|event| matches!(event, PeerEvent::IceState(_)))
            .collect();
        assert_eq!(
            states,
            [
                &PeerEvent::IceState("disconnected"),
                &PeerEvent::IceState("connected")
            ]
        );
    }
}

#[test]
fn a_wrong_fingerprint_fails_the_connection() {
    let mut pair = Pair::new(4);
    pair.exchange_candidates();
    let mut remote = pair.remote_parameters(RIGHT);
    remote.fingerprint = format!("sha-256 {}", ["AB"; 32].join(":"));
    let now = pair.now;
    pair.peers[LEFT].set_remote(&remote, now).unwrap();
    let remote = pair.remote_parameters(LEFT);
    pair.peers[RIGHT].set_remote(&remote, now).unwrap();
    pair.run_for(Duration::from_secs(20));
    let reason = failure(&pair, LEFT).expect("failed");
    assert!(reason.contains("fingerprint"), "{reason}");
}

#[test]
fn an_ice_restart_proves_connectivity_anew_and_keeps_dtls() {
    let mut pair = Pair::connected(5);
    pair.events = [vec![], vec![]];
    let now = pair.now;
    let before = pair.peers[LEFT].local_credentials();
    // Offer.
    let (ufrag, pwd) = pair.peers[LEFT].restart_ice(now).unwrap();
    assert_ne!(before.0, ufrag);
    let mut offer = pair.remote_parameters(LEFT);
    (offer.ice_ufrag, offer.ice_pwd) = (ufrag, pwd);
    pair.run_for(Duration::from_secs(1));
    // Answer.
    let now = pair.now;
    pair.peers[RIGHT].set_remote(&offer, now).unwrap();
    let (ufrag, pwd) = pair.peers[RIGHT].restart_ice(now).unwrap();
    let mut answer = pair.remote_parameters(RIGHT);
    (answer.ice_ufrag, answer.ice_pwd) = (ufrag, pwd);
    pair.peers[LEFT].set_remote(&answer, now).unwrap();
    for side in [LEFT, RIGHT] {
        let line = format!(
            "candidate:1 1 udp 2130706431 {} {} typ host",
            address(side).ip(),
            address(side).port()
        );
        pair.peers[1 - side].add_remote_candidate(&line, now).unwrap();
    }
    pair.run_until("both connected again", |pair| {
        pair.both(|event| *event == PeerEvent::Connected)
    });
    pair.run_for(Duration::from_secs(30));
    for side in [LEFT, RIGHT] {
        assert_eq!(failure(&pair, side), None);
        assert_eq!(pair.peers[side].statistics().transport.ice_state, "connected");
    }
}

#[test]
fn closing_says_goodbye_and_the_other_side_learns_it() {
    let mut pair = Pair::connected(6);
    pair.run_for(Duration::from_secs(1));
    let now = pair.now;
    pair.events = [vec![], vec![]];
    pair.peers[LEFT].close(now);
    pair.peers[LEFT].close(now);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.events[LEFT], []);
    assert_eq!(failure(&pair, RIGHT), Some("the remote closed the connection"));
    assert_eq!(pair.peers[LEFT].poll_timeout(), None);
}

#[test]
fn hostile_datagrams_cost_nothing_but_a_count() {
    let mut pair = Pair::connected(7);
    let mut random = StdRng::seed_from_u64(7);
    let stranger = "192.0.2.7:999".parse().unwrap();
    for round in 0..20_000 {
        let length = random.random_range(0..200);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
        // Look like STUN, DTLS, RTP and RTCP in turn.
        let looks: &[&[u8]] = &[
            &[0, 1, 0],
            &[1, 1, 0],
            &[22, 254, 253],
            &[23, 254, 253],
            &[0x80, 111],
            &[0x80, 200],
            &[0x90, 0xe0],
        ];
        let look = looks[round % looks.len()];
        if bytes.len() >= look.len() {
            bytes[..look.len()].copy_from_slice(look);
        }
        let source = if round % 2 == 0 { stranger } else { address(RIGHT) };
        let now = pair.now;
        pair.peers[LEFT].handle_datagram(now, source, address(LEFT), &bytes);
    }
    assert!(pair.peers[LEFT].statistics().transport.packets_discarded > 9_000);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(failure(&pair, LEFT), None);
    assert_eq!(pair.peers[LEFT].statistics().transport.ice_state, "connected");
}

#[test]
fn datagrams_before_the_remote_is_known_are_harmless() {
    let now = std::time::Instant::now();
    let mut peer = new_peer(&config(true), now);
    peer.add_local_address(address(LEFT), now).unwrap();
    let mut random = StdRng::seed_from_u64(8);
    for first in 0..=255u8 {
        let mut bytes: Vec<u8> = (0..60).map(|_| random.random()).collect();
        (bytes[0], bytes[1]) = (first, 1);
        bytes[2..8].copy_from_slice(&[0, 40, 0x21, 0x12, 0xa4, 0x42]);
        peer.handle_datagram(now, address(RIGHT), address(LEFT), &bytes);
    }
    assert!(peer.is_open());
}

#[test]
fn candidates_are_judged_one_by_one() {
    let now = std::time::Instant::now();
    let mut peer = new_peer(&config(true), now);
    let table = [
        ("candidate:1 1 udp 2130706431 10.0.0.2 5001 typ host", true),
        (
            "a=candidate:1 1 UDP 2130706431 10.0.0.2 5001 typ host generation 0",
            true,
        ),
        (
            "candidate:1 1 tcp 2130706431 10.0.0.2 5001 typ host tcptype passive",
            true,
        ),
        ("candidate:1 1 udp 2130706431 1b6f.local 5001 typ host", true),
        ("candidate:1 1 udp 2130706431 10.0.0.2 99999 typ host", false),
        ("candidate:1 1 udp 2130706431 nonsense 5001 typ host", false),
        ("candidate:1 1 udp", false),
        ("", false),
    ];
    for (line, accepted) in table {
        assert_eq!(peer.add_remote_candidate(line, now).is_ok(), accepted, "{line:?}");
    }
}

#[test]
fn senders_and_receivers_are_checked_before_str0m_sees_them() {
    use greenroom_peer::{AudioSenderConfig, ReceiverConfig, TrackKind};
    let now = std::time::Instant::now();
    let mut peer = new_peer(&config(true), now);
    let audio = |ssrc, payload_type| AudioSenderConfig {
        ssrc,
        payload_type,
        bitrate_bps: 32_000,
        stereo: false,
        dtx: true,
        fec: true,
        cryptor: None,
    };
    let receiver = |id, kind, ssrc| ReceiverConfig {
        id,
        kind,
        ssrc,
        rtx_ssrc: None,
    };
    peer.add_audio_sender("0", audio(1, 111), now).unwrap();
    assert!(matches!(
        peer.add_audio_sender("0", audio(2, 111), now),
        Err(PeerError::SenderExists { .. })
    ));
    assert!(matches!(
        peer.add_audio_sender("1", audio(1, 111), now),
        Err(PeerError::DuplicateSsrc { ssrc: 1, .. })
    ));
    assert!(matches!(
        peer.add_audio_sender("1", audio(2, 96), now),
        Err(PeerError::UnknownPayloadType { .. })
    ));
    assert!(matches!(
        peer.add_audio_sender("", audio(2, 111), now),
        Err(PeerError::Parameter { .. })
    ));
    assert!(matches!(
        peer.add_audio_sender("1", audio(0, 111), now),
        Err(PeerError::Parameter { .. })
    ));
    assert!(matches!(
        peer.add_receiver("0", receiver(1, TrackKind::Video, 5), now),
        Err(PeerError::MediaKind { .. })
    ));
    peer.add_receiver("2", receiver(2, TrackKind::Video, 5), now)
        .unwrap();
    assert!(matches!(
        peer.add_receiver("3", receiver(3, TrackKind::Video, 5), now),
        Err(PeerError::DuplicateSsrc { .. })
    ));
    // In the same place, even of another kind.
    peer.add_receiver("2", receiver(4, TrackKind::Video, 5), now)
        .unwrap();
    peer.add_receiver("2", receiver(5, TrackKind::Audio, 6), now)
        .unwrap();
    peer.remove_receiver("2", now);
    peer.remove_receiver("2", now);
    peer.add_receiver("3", receiver(6, TrackKind::Video, 5), now)
        .unwrap();
    peer.remove_sender("0", now);
    peer.remove_sender("nothing", now);
    peer.add_audio_sender("0", audio(1, 111), now).unwrap();
    assert!(matches!(
        peer.set_sender_muted("9", true, now),
        Err(PeerError::UnknownSender { .. })
    ));
    assert!(matches!(
        peer.set_layer_active("0", "q", true, now),
        Err(PeerError::MediaKind { .. })
    ));
}

#[test]
fn dtls_that_comes_before_our_own_check_succeeds_is_not_lost() {
    // The answers to the right side's checks are late, so the left side is ready first and starts DTLS.
    for seed in 0..20 {
        let mut pair = Pair::new(seed);
        pair.link = Link {
            delay: Duration::from_millis(1),
            jitter: Duration::from_millis(30),
            ..Link::default()
        };
        pair.exchange_candidates();
        pair.exchange_descriptions();
        pair.run_until("both connected", |pair| {
            pair.both(|event| *event == PeerEvent::Connected)
        });
        let took = pair.now - pair.start;
        assert!(took < Duration::from_millis(900), "seed {seed}: {took:?}");
    }
}
