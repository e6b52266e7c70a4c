//! Endpoints of one worker that use one UDP socket.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::Receiver;

use common::told::{Seen, Told, event, received, start};
use common::{LOOPBACK, PATIENCE, client, udp_transmit};
use greenroom_net::{EndpointHandle, Engine, SocketEvent, SocketOrder};

/// An endpoint that wants to reach `remotes`, and where it does so from.
fn sharing(engine: &Engine, remotes: &[&UdpSocket]) -> (EndpointHandle<Told>, Receiver<Seen>, SocketAddr) {
    let (handle, sees) = start(engine);
    let bound = share(&handle, &sees, remotes);
    (handle, sees, bound)
}

fn share(handle: &EndpointHandle<Told>, sees: &Receiver<Seen>, remotes: &[&UdpSocket]) -> SocketAddr {
    let remotes = remotes
        .iter()
        .map(|remote| remote.local_addr().unwrap())
        .collect();
    handle.post(move |told, _| told.orders.push(SocketOrder::Share(LOOPBACK, remotes)));
    let SocketEvent::Bound(bound) = event(sees) else {
        panic!("not bound");
    };
    bound
}

fn send(handle: &EndpointHandle<Told>, source: SocketAddr, remote: &UdpSocket, contents: &[u8]) {
    let transmit = udp_transmit(source, remote.local_addr().unwrap(), contents);
    handle.call(move |told, _| told.transmits.push(transmit));
}

fn arrives(remote: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 100];
    let (length, source) = remote.recv_from(&mut buffer).expect("a datagram");
    (buffer[..length].to_vec(), source)
}

/// A connectivity check (RFC 8445): a binding request with this username.
fn check(username: &[u8; 8]) -> Vec<u8> {
    let header = [
        0, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    [&header[..], &[0, 6, 0, 8], username].concat()
}

#[test]
fn each_gets_what_its_remote_sends() {
    let engine = Engine::start(1).expect("threads");
    let (one, two) = (client(), client());
    let (alice, alice_sees, shared) = sharing(&engine, &[&one]);
    let (bob, bob_sees, bound) = sharing(&engine, &[&two]);
    assert_eq!(bound, shared, "one socket");
    for (handle, sees, remote) in [(&alice, &alice_sees, &one), (&bob, &bob_sees, &two)] {
        send(handle, shared, remote, b"\x80there");
        assert_eq!(arrives(remote), (b"\x80there".to_vec(), shared));
        for _ in 0..100 {
            remote.send_to(b"\x80and back", shared).unwrap();
            let (_, source, destination, contents) = received(sees);
            assert_eq!((source, destination), (remote.local_addr().unwrap(), shared));
            assert_eq!(contents, b"\x80and back");
        }
    }
    client().send_to(b"\x80from a stranger", shared).unwrap();
    one.send_to(b"\x80last", shared).unwrap();
    assert_eq!(received(&alice_sees).3, b"\x80last");
    assert!(bob_sees.try_recv().is_err(), "the stranger's is nobody's");
}

#[test]
fn a_check_from_an_unknown_address_finds_whom_it_names() {
    let engine = Engine::start(1).expect("threads");
    let (one, two, unknown) = (client(), client(), client());
    let (alice, alice_sees, shared) = sharing(&engine, &[&one]);
    let (bob, bob_sees, _) = sharing(&engine, &[&two]);
    send(&alice, shared, &one, &check(b"srvA:ali"));
    send(&bob, shared, &two, &check(b"srvB:bob"));
    unknown.send_to(&check(b"bob:srvB"), shared).unwrap();
    assert_eq!(received(&bob_sees).3, check(b"bob:srvB"));
    unknown.send_to(&check(b"ali:srvA"), shared).unwrap();
    assert_eq!(received(&alice_sees).3, check(b"ali:srvA"));
    // Whoever answers has the remote from then on.
    send(&bob, shared, &unknown, b"\x80answer");
    unknown.send_to(b"\x80media", shared).unwrap();
    assert_eq!(received(&bob_sees).3, b"\x80media");
}

#[test]
fn a_remote_that_is_taken_is_reached_from_a_socket_of_ones_own() {
    let engine = Engine::start(1).expect("threads");
    let (one, two) = (client(), client());
    let (alice, alice_sees, shared) = sharing(&engine, &[&one]);
    let (bob, bob_sees, own) = sharing(&engine, &[&two, &one]);
    assert_ne!(own, shared);
    send(&bob, own, &one, b"\x80bob");
    assert_eq!(arrives(&one), (b"\x80bob".to_vec(), own));
    one.send_to(b"\x80to bob", own).unwrap();
    assert_eq!(received(&bob_sees).3, b"\x80to bob");
    one.send_to(b"\x80to alice", shared).unwrap();
    assert_eq!(received(&alice_sees).3, b"\x80to alice");
    // It has not claimed the other remote either.
    let (_carol, _, third) = sharing(&engine, &[&two]);
    assert_eq!(third, shared);
    // What it has of its own needs no claims.
    let remote = two.local_addr().unwrap();
    bob.call(move |told, _| told.orders.push(SocketOrder::Reach(remote)));
    send(&bob, own, &two, b"\x80bob");
    assert_eq!(arrives(&two).1, own);
    assert!(bob_sees.try_recv().is_err());
    drop(alice);
}

#[test]
fn a_remote_that_turns_out_to_be_taken_gets_nothing_and_is_told_of_once() {
    let engine = Engine::start(1).expect("threads");
    let (one, two) = (client(), client());
    let (alice, _alice_sees, shared) = sharing(&engine, &[&one]);
    let (bob, bob_sees, _) = sharing(&engine, &[&two]);
    let taken = one.local_addr().unwrap();
    bob.call(move |told, _| told.orders.push(SocketOrder::Reach(taken)));
    assert_eq!(event(&bob_sees), SocketEvent::Taken(taken));
    send(&bob, shared, &one, b"\x80bob");
    send(&bob, shared, &two, b"\x80bob");
    send(&alice, shared, &one, b"\x80alice");
    assert_eq!(arrives(&one).0, b"\x80alice", "nothing of bob's came before");
    assert_eq!(arrives(&two).0, b"\x80bob");
    assert!(bob_sees.try_recv().is_err());

    let three = client();
    let (carol, carol_sees, _) = sharing(&engine, &[&three]);
    send(&carol, shared, &one, b"\x80carol");
    assert_eq!(event(&carol_sees), SocketEvent::Taken(taken), "by sending, too");
}

#[test]
fn who_leaves_or_panics_leaves_the_socket_to_the_others_and_the_last_closes_it() {
    let engine = Engine::start(1).expect("threads");
    let remotes = [client(), client(), client()];
    let (alice, alice_sees, shared) = sharing(&engine, &[&remotes[0]]);
    let (_bob, bob_sees, _) = sharing(&engine, &[&remotes[1]]);
    let (carol, carol_sees, _) = sharing(&engine, &[&remotes[2]]);
    remotes[1].send_to(b"\x80panic", shared).unwrap();
    match bob_sees.recv_timeout(PATIENCE).expect("something happens") {
        Seen::Failed(reason) => assert!(reason.contains("asked for by the test"), "{reason}"),
        Seen::Event(_) | Seen::Received(..) => panic!("it goes on"),
    }
    alice.call(move |told, _| told.orders.push(SocketOrder::Unbind(shared)));
    remotes[0].send_to(b"\x80to nobody", shared).unwrap();
    remotes[2].send_to(b"\x80to carol", shared).unwrap();
    assert_eq!(received(&carol_sees).3, b"\x80to carol");
    assert!(alice_sees.try_recv().is_err());
    // A remote of one that has gone may still take us for that one.
    let (_late, _, own) = sharing(&engine, &[&remotes[0]]);
    assert_ne!(own, shared);
    carol.close_and_wait();
    UdpSocket::bind(shared).expect("nobody uses it any more");
    let (_later, _, next) = sharing(&engine, &[&remotes[0]]);
    assert_ne!(next, own);
}

#[test]
fn each_worker_has_its_own() {
    let engine = Engine::start(2).expect("threads");
    let remote = client();
    let (alice, alice_sees, first) = sharing(&engine, &[&remote]);
    let (bob, bob_sees, second) = sharing(&engine, &[&remote]);
    assert_ne!(first, second);
    for (handle, sees, bound) in [(&alice, &alice_sees, first), (&bob, &bob_sees, second)] {
        send(handle, bound, &remote, b"\x80hello");
        remote.send_to(b"\x80answer", bound).unwrap();
        assert_eq!(received(sees).3, b"\x80answer");
    }
}
