//! Connections and sockets that an endpoint orders while it runs.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use common::told::{event, received, start};
use common::{LOOPBACK, PATIENCE, client};
use greenroom_net::{Engine, Opening, Protocol, SocketEvent, SocketOrder, Transmit};

fn opening(protocol: Protocol, name: u16, destination: SocketAddr) -> Opening {
    Opening {
        protocol,
        source: SocketAddr::new(LOOPBACK, name),
        destination,
    }
}

fn transmit(opening: Opening, contents: &[u8]) -> Transmit {
    Transmit {
        protocol: opening.protocol,
        source: opening.source,
        destination: opening.destination,
        contents: contents.to_vec(),
    }
}

const STUN: &[u8] = &[
    0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
];

#[test]
fn an_opened_connection_frames_for_ice_and_passes_bytes_for_streams() {
    let engine = Engine::start(1).expect("threads");
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let remote = listener.local_addr().unwrap();
    for (protocol, framed) in [
        (Protocol::Tcp, [&[0, 20][..], STUN].concat()),
        (Protocol::Stream, STUN.to_vec()),
    ] {
        let (handle, sees) = start(&engine);
        let opening = opening(protocol, 9, remote);
        // What is sent while it opens is not lost.
        handle.post(move |told, _| {
            told.orders.push(SocketOrder::Connect(opening));
            told.transmits.push(transmit(opening, STUN));
        });
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(event(&sees), SocketEvent::Connected(opening));
        let mut bytes = vec![0; framed.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, framed);
        stream.write_all(&framed).unwrap();
        assert_eq!(received(&sees), (protocol, remote, opening.source, STUN.to_vec()));
        drop(stream);
        assert!(matches!(event(&sees), SocketEvent::Closed(closed, _) if closed == opening));
        handle.close_and_wait();
    }
}

#[test]
fn a_connection_that_is_refused_is_told_with_the_reason() {
    let engine = Engine::start(1).expect("threads");
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let remote = listener.local_addr().unwrap();
    drop(listener);
    let (handle, sees) = start(&engine);
    let opening = opening(Protocol::Stream, 1, remote);
    handle.post(move |told, _| told.orders.push(SocketOrder::Connect(opening)));
    match event(&sees) {
        SocketEvent::Closed(closed, reason) => {
            assert_eq!(closed, opening);
            assert!(reason.contains("refused"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    handle.close_and_wait();
}

#[test]
fn two_connections_to_one_place_are_told_apart_by_name() {
    let engine = Engine::start(1).expect("threads");
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let remote = listener.local_addr().unwrap();
    let (handle, sees) = start(&engine);
    let both = [9, 10].map(|name| opening(Protocol::Stream, name, remote));
    for opening in both {
        handle.post(move |told, _| {
            told.orders.push(SocketOrder::Connect(opening));
            told.transmits
                .push(transmit(opening, &opening.source.port().to_be_bytes()));
        });
        assert_eq!(event(&sees), SocketEvent::Connected(opening));
        let (mut stream, _) = listener.accept().unwrap();
        let mut name = [0; 2];
        stream.read_exact(&mut name).unwrap();
        assert_eq!(u16::from_be_bytes(name), opening.source.port());
        stream.write_all(&name).unwrap();
        assert_eq!(received(&sees).2, opening.source);
        handle.post(move |told, _| {
            told.transmits.push(transmit(opening, b"farewell"));
            told.orders.push(SocketOrder::Disconnect(opening));
        });
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"farewell");
    }
    handle.close_and_wait();
}

#[test]
fn udp_sockets_come_and_go() {
    let engine = Engine::start(1).expect("threads");
    let (handle, sees) = start(&engine);
    let remote = client();
    for _ in 0..3 {
        handle.post(|told, _| told.orders.push(SocketOrder::Bind(LOOPBACK)));
        let SocketEvent::Bound(address) = event(&sees) else {
            panic!("not bound");
        };
        remote.send_to(b"hello", address).unwrap();
        let (protocol, _, destination, contents) = received(&sees);
        assert_eq!(
            (protocol, destination, &contents[..]),
            (Protocol::Udp, address, &b"hello"[..])
        );
        handle.post(move |told, _| told.orders.push(SocketOrder::Unbind(address)));
        handle.call(|_, _| ());
        handle.call(|_, _| ());
        // The port is free again.
        std::net::UdpSocket::bind(address).expect("its port is free");
    }
    handle.post(|told, _| {
        told.orders
            .push(SocketOrder::Bind("203.0.113.77".parse().unwrap()));
    });
    assert!(matches!(event(&sees), SocketEvent::BindFailed(..)));
    handle.close_and_wait();
}
