//! Connecting, media, restarts and endings between two transports.

mod common;

use std::time::Duration;

use common::{Network, Pair, rtcp, rtp};
use greenroom_transport::{IceState, Protocol, Transport, TransportError, TransportEvent};

const LONG: Duration = Duration::from_secs(30);

fn states(events: &[TransportEvent]) -> Vec<IceState> {
    events
        .iter()
        .filter_map(|event| match event {
            TransportEvent::IceState(state) => Some(*state),
            _ => None,
        })
        .collect()
}

fn exchange_media(pair: &mut Pair, sequence_number: u16) {
    for side in 0..2 {
        let packet = rtp(sequence_number, 100 + side as u32, b"media");
        let compound = rtcp(100 + side as u32);
        pair.take_events(1 - side);
        pair.sides[side].send_rtp(packet.clone()).expect("RTP");
        pair.sides[side].send_rtcp(compound.clone()).expect("RTCP");
        pair.run_for(Duration::from_millis(50));
        let events = pair.take_events(1 - side);
        assert!(events.contains(&TransportEvent::Rtp(packet)), "{events:?}");
        assert!(events.contains(&TransportEvent::Rtcp(compound)), "{events:?}");
    }
}

#[test]
fn both_dtls_roles_connect_and_carry_media() {
    for active in [0, 1] {
        let mut pair = Pair::new(1);
        pair.introduce(active);
        pair.run_until(Duration::from_secs(2), |pair| {
            pair.sides.iter().all(Transport::is_connected)
        });
        for side in 0..2 {
            let events = pair.take_events(side);
            assert_eq!(states(&events), [IceState::Checking, IceState::Connected]);
            assert_eq!(
                events
                    .iter()
                    .filter(|event| **event == TransportEvent::Connected)
                    .count(),
                1
            );
        }
        exchange_media(&mut pair, 1);
    }
}

#[test]
fn tcp_candidates_connect() {
    let mut pair = Pair::with_protocol(2, Protocol::Tcp);
    // Only the peer that opened the TCP connection can start: the server learns its address from it.
    pair.introduce(1);
    pair.run_for(Duration::from_secs(1));
    assert!(
        pair.sides.iter().all(|side| !side.is_connected()),
        "passive candidates never connect"
    );
}

#[test]
fn connects_with_loss_and_reordering() {
    for seed in 0..8 {
        let mut pair = Pair::new(seed);
        pair.network = Network {
            delay: Duration::from_millis(40),
            jitter: Duration::from_millis(40),
            loss: 0.2,
        };
        pair.introduce(seed as usize % 2);
        pair.run_until(LONG, |pair| pair.sides.iter().all(Transport::is_connected));
    }
}

#[test]
fn the_server_follows_a_client_behind_a_nat_that_forgot_it() {
    for seed in 0..8 {
        let mut pair = Pair::connected(seed);
        pair.network.jitter = Duration::from_millis(30);
        pair.run_for(Duration::from_secs(7));
        for port in [40_000, 40_001, 40_002] {
            let outside = format!("203.0.113.7:{port}").parse().expect("address");
            pair.outside = Some(outside);
            // The client's next check comes within three seconds.
            pair.run_until(Duration::from_millis(3_400), |pair| {
                pair.sides[0].selected_pair() == Some((pair.addresses[0], outside))
            });
            exchange_media(&mut pair, port);
            pair.run_for(Duration::from_secs(20));
            exchange_media(&mut pair, port + 100);
        }
        let events = pair.take_events(0);
        assert!(!states(&events).contains(&IceState::Disconnected), "{events:?}");
    }
}

#[test]
fn a_check_that_someone_repeats_from_elsewhere_moves_nothing() {
    let mut pair = Pair::connected(1);
    pair.keep_delivered = true;
    pair.run_for(Duration::from_secs(10));
    let before = pair.sides[0].selected_pair();
    pair.is_up = false;
    pair.run_for(Duration::from_secs(1));
    let checks: Vec<_> = std::mem::take(&mut pair.delivered);
    for (to, mut transmit) in checks {
        if to == 0 && transmit.contents[0] == 0 {
            transmit.source = "198.51.100.66:666".parse().expect("address");
            pair.deliver(0, &transmit);
        }
    }
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.sides[0].selected_pair(), before);
}

#[test]
fn media_before_the_connection_is_counted_and_dropped() {
    let mut pair = Pair::new(3);
    pair.sides[0].send_rtp(rtp(1, 1, b"early")).expect("dropped");
    pair.sides[0].send_rtcp(rtcp(1)).expect("dropped");
    assert_eq!(pair.sides[0].statistics().not_connected_packets, 2);
    assert!(pair.sides[0].poll_transmit().is_none());
}

#[test]
fn replayed_and_forged_media_is_dropped() {
    let mut pair = Pair::connected(4);
    pair.sides[1].send_rtp(rtp(7, 9, b"once")).expect("RTP");
    let transmit = std::iter::from_fn(|| pair.sides[1].poll_transmit())
        .find(|transmit| transmit.contents[0] == 0x80)
        .expect("packet");
    pair.take_events(0);
    pair.deliver(0, &transmit);
    pair.deliver(0, &transmit);
    let mut forged = transmit.clone();
    forged.contents[20] ^= 1;
    forged.contents[3] ^= 1;
    pair.deliver(0, &forged);
    assert_eq!(pair.take_events(0), [TransportEvent::Rtp(rtp(7, 9, b"once"))]);
    let statistics = pair.sides[0].statistics();
    assert_eq!(
        (statistics.replayed_packets, statistics.unauthenticated_packets),
        (1, 1)
    );
}

#[test]
fn malformed_outgoing_packets_are_errors() {
    let mut pair = Pair::connected(5);
    assert!(matches!(
        pair.sides[0].send_rtp(vec![0x80; 5]),
        Err(TransportError::Packet { .. })
    ));
    assert!(matches!(
        pair.sides[0].send_rtcp(vec![0x80; 5]),
        Err(TransportError::Packet { .. })
    ));
}

#[test]
fn wrong_fingerprint_fails_with_a_reason() {
    for active in [0, 1] {
        let mut pair = Pair::new(6);
        for side in 0..2 {
            let mut parameters = pair.parameters_of(1 - side, side == active);
            if side == 0 {
                parameters.fingerprint = format!("sha-256 {}", ["AB"; 32].join(":"));
            }
            pair.sides[side]
                .set_remote(parameters, pair.now)
                .expect("parameters");
        }
        for side in 0..2 {
            for line in pair.sides[1 - side].local_candidate_lines() {
                pair.sides[side].add_remote_candidate(&line).expect("candidate");
            }
        }
        pair.run_for(Duration::from_secs(5));
        let events = pair.take_events(0);
        let reason = events.iter().find_map(|event| match event {
            TransportEvent::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        assert!(reason.expect("failed").contains("fingerprint"));
        assert!(!events.contains(&TransportEvent::Connected));
        assert!(!pair.sides[0].is_connected());
    }
}

#[test]
fn unusable_remote_parameters_are_errors() {
    let mut pair = Pair::new(7);
    for (ufrag, pwd, fingerprint) in [
        ("", "pwd", "ok"),
        ("ufrag", "", "ok"),
        ("uf rag", "pwd", "ok"),
        ("ufrag", "pwd", "sha-256 AB"),
    ] {
        let mut parameters = pair.parameters_of(1, false);
        (parameters.ice_ufrag, parameters.ice_pwd) = (ufrag.to_owned(), pwd.to_owned());
        if fingerprint != "ok" {
            parameters.fingerprint = fingerprint.to_owned();
        }
        let result = pair.sides[0].set_remote(parameters, pair.now);
        assert!(
            matches!(result, Err(TransportError::RemoteParameter { .. })),
            "{ufrag} {pwd} {fingerprint}"
        );
    }
    assert!(pair.sides[0].add_remote_candidate("rubbish").is_err());
}

#[test]
fn ice_restart_keeps_media_flowing() {
    for offerer in [0, 1] {
        let mut pair = Pair::connected(8);
        let old_ufrags = [0, 1].map(|side| pair.sides[side].local_credentials().ufrag.clone());
        let offered = pair.sides[offerer].restart_ice();
        assert_ne!(offered.ufrag, old_ufrags[offerer]);
        exchange_media(&mut pair, 10);
        let answerer = 1 - offerer;
        let offer = pair.parameters_of(offerer, answerer == 1);
        pair.sides[answerer].set_remote(offer, pair.now).expect("offer");
        assert_ne!(
            pair.sides[answerer].local_credentials().ufrag,
            old_ufrags[answerer]
        );
        exchange_media(&mut pair, 11);
        let answer = pair.parameters_of(answerer, offerer == 1);
        pair.sides[offerer].set_remote(answer, pair.now).expect("answer");
        for side in 0..2 {
            let line = pair.sides[1 - side].local_candidate_lines().remove(0);
            pair.sides[side].add_remote_candidate(&line).expect("candidate");
        }
        for number in 12..40 {
            exchange_media(&mut pair, number);
        }
        pair.run_for(Duration::from_secs(60));
        assert!(pair.sides.iter().all(Transport::is_connected));
        exchange_media(&mut pair, 50);
    }
}

#[test]
fn ice_restart_moves_to_a_new_address() {
    let mut pair = Pair::connected(9);
    let moved = "10.0.0.3:7000".parse().expect("address");
    pair.addresses[1] = moved;
    pair.sides[1].add_local_host_candidate(Protocol::Udp, moved, moved);
    // Everything from the old address is lost from now on.
    let offered = pair.sides[1].restart_ice();
    let offer = pair.parameters_of(1, false);
    assert_eq!(offer.ice_ufrag, offered.ufrag);
    pair.sides[0].set_remote(offer, pair.now).expect("offer");
    let answer = pair.parameters_of(0, true);
    pair.sides[1].set_remote(answer, pair.now).expect("answer");
    let server_line = pair.sides[0].local_candidate_lines().remove(0);
    pair.sides[1]
        .add_remote_candidate(&server_line)
        .expect("candidate");
    let limit = pair.now + Duration::from_secs(5);
    loop {
        while let Some(transmit) = pair.sides[1].poll_transmit() {
            if transmit.source == moved {
                pair.deliver(0, &transmit);
            }
        }
        while let Some(transmit) = pair.sides[0].poll_transmit() {
            if transmit.destination == moved {
                pair.deliver(1, &transmit);
            }
        }
        pair.sides[0].send_rtp(rtp(1, 1, b"moved")).expect("RTP");
        let transmit = pair.sides[0].poll_transmit().expect("packet");
        if transmit.destination == moved {
            break;
        }
        pair.now += Duration::from_millis(20);
        assert!(
            pair.now < limit,
            "the server keeps sending to {}",
            transmit.destination
        );
        let now = pair.now;
        pair.sides.iter_mut().for_each(|side| side.handle_timeout(now));
    }
}

#[test]
fn stun_is_accepted_by_ufrag_during_a_restart() {
    let mut pair = Pair::connected(10);
    pair.keep_delivered = true;
    pair.run_for(Duration::from_secs(10));
    let is_request = |transmit: &&(usize, greenroom_transport::Transmit)| {
        transmit.0 == 0 && transmit.1.contents[..2] == [0, 1]
    };
    let old = pair
        .delivered
        .iter()
        .find(is_request)
        .expect("request")
        .1
        .contents
        .clone();
    assert!(pair.sides[0].accepts_stun_from(&old));
    assert!(!pair.sides[1].accepts_stun_from(&old));
    pair.sides[0].restart_ice();
    assert!(
        pair.sides[0].accepts_stun_from(&old),
        "the old name is good until the new path works"
    );
    assert!(!pair.sides[0].accepts_stun_from(b"nonsense"));
}

#[test]
fn silence_disconnects_fails_and_recovers() {
    let mut pair = Pair::connected(11);
    pair.take_events(0);
    pair.is_up = false;
    pair.run_for(Duration::from_secs(9));
    assert_eq!(pair.take_events(0), []);
    pair.run_for(Duration::from_secs(4));
    assert_eq!(states(&pair.take_events(0)), [IceState::Disconnected]);
    pair.is_up = true;
    pair.run_for(Duration::from_secs(5));
    assert_eq!(states(&pair.take_events(0)), [IceState::Connected]);
    exchange_media(&mut pair, 1);
    pair.take_events(0);
    pair.is_up = false;
    pair.run_for(Duration::from_secs(20));
    assert_eq!(
        states(&pair.take_events(0)),
        [IceState::Disconnected, IceState::Failed]
    );
    assert!(!pair.sides[0].is_connected());
    pair.sides[0].send_rtp(rtp(2, 1, b"unwanted")).expect("dropped");
    assert_eq!(pair.sides[0].statistics().not_connected_packets, 1);
}

#[test]
fn a_failed_path_is_revived_by_a_restart() {
    let mut pair = Pair::connected(15);
    pair.is_up = false;
    pair.run_for(Duration::from_secs(40));
    assert_eq!(states(&pair.take_events(0)).last(), Some(&IceState::Failed));
    pair.is_up = true;
    pair.sides[1].restart_ice();
    pair.introduce(1);
    // The server's credentials changed with the offer: tell the client.
    let answer = pair.parameters_of(0, true);
    pair.sides[1].set_remote(answer, pair.now).expect("answer");
    pair.run_until(LONG, |pair| pair.sides.iter().all(Transport::is_connected));
    exchange_media(&mut pair, 3);
}

#[test]
fn media_nobody_takes_is_bounded() {
    let mut pair = Pair::connected(16);
    for number in 0..20_000u16 {
        pair.sides[1].send_rtp(rtp(number, 9, b"flood")).expect("RTP");
    }
    assert!(pair.sides[1].statistics().overflowed_packets > 3_000);
    let transmits: Vec<_> = std::iter::from_fn(|| pair.sides[1].poll_transmit()).collect();
    for transmit in &transmits {
        pair.deliver(0, transmit);
    }
    for number in 20_000..21_000u16 {
        pair.sides[1].send_rtp(rtp(number, 9, b"flood")).expect("RTP");
        let transmit = pair.sides[1].poll_transmit().expect("packet");
        pair.deliver(0, &transmit);
    }
    assert!(pair.sides[0].statistics().overflowed_packets > 0);
    assert!(pair.take_events(0).len() < 17_000);
    exchange_media(&mut pair, 21_000);
}

#[test]
fn transports_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Transport>();
}

#[test]
fn a_peer_that_never_answers_fails() {
    let mut pair = Pair::new(12);
    pair.is_up = false;
    pair.introduce(1);
    pair.run_for(Duration::from_secs(29));
    assert_eq!(states(&pair.take_events(0)), [IceState::Checking]);
    pair.run_for(Duration::from_secs(3));
    assert_eq!(states(&pair.take_events(0)), [IceState::Failed]);
}

#[test]
fn an_idle_connection_stays_up_with_few_wakeups() {
    let mut pair = Pair::connected(13);
    pair.run_for(Duration::from_secs(5));
    let steps = pair.run_for(Duration::from_secs(60));
    assert!(pair.sides.iter().all(Transport::is_connected));
    assert!(steps < 300, "{steps} wakeups in a minute for two sides");
    assert!(
        pair.sides[0]
            .round_trip_time()
            .is_some_and(|time| time < Duration::from_millis(50))
    );
}

#[test]
fn closing_tells_the_peer_and_silences_both() {
    let mut pair = Pair::connected(14);
    let now = pair.now;
    pair.sides[0].close(now);
    pair.run_for(Duration::from_secs(1));
    for side in 0..2 {
        let events = pair.take_events(side);
        assert_eq!(
            states(&events).last(),
            Some(&IceState::Closed),
            "{side}: {events:?}"
        );
        assert!(!pair.sides[side].is_connected());
        assert_eq!(pair.sides[side].poll_timeout(), None);
        pair.sides[side].send_rtp(rtp(1, 1, b"late")).expect("dropped");
        assert!(pair.sides[side].poll_transmit().is_none());
    }
    let parameters = pair.parameters_of(1, false);
    assert!(matches!(
        pair.sides[0].set_remote(parameters, now),
        Err(TransportError::Closed(_))
    ));
}
