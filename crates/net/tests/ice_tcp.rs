//! ICE-TCP connections against a real listener.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use common::{Echo, LOOPBACK, PATIENCE};
use greenroom_net::{EndpointHandle, Engine, Protocol, Sockets, Transmit, bind_tcp_all};

fn stun_request() -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    message.extend_from_slice(&[9; 12]);
    message
}

fn framed(contents: &[u8]) -> Vec<u8> {
    let mut frame = (contents.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(contents);
    frame
}

fn start(engine: &Engine) -> (EndpointHandle<Echo>, SocketAddr) {
    let tcp_listeners = bind_tcp_all(&[LOOPBACK], 0).unwrap();
    let address = tcp_listeners[0].local_addr().unwrap();
    let handle = engine
        .spawn(
            Sockets {
                tcp_listeners,
                ..Sockets::default()
            },
            |_| Echo::default(),
        )
        .unwrap();
    (handle, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut contents = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut contents).unwrap();
    contents
}

fn is_closed_by_remote(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn frames_are_echoed_however_they_are_cut() {
    let engine = Engine::start(1).unwrap();
    let (_handle, address) = start(&engine);
    let mut stream = connect(address);
    let messages = [stun_request(), vec![], vec![1], vec![2; 1400], vec![3; 18_000]];
    let bytes: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
    for size in [1usize, 3, 1000, bytes.len()] {
        // One byte at a time is slow over sockets: only the first bytes are cut that small.
        for piece in bytes[..60].chunks(size).chain(bytes[60..].chunks(size.max(500))) {
            stream.write_all(piece).unwrap();
        }
        for message in &messages {
            assert_eq!(&read_frame(&mut stream), message);
        }
    }
}

#[test]
fn a_connection_that_does_not_begin_with_stun_is_closed() {
    let engine = Engine::start(1).unwrap();
    let (handle, address) = start(&engine);
    for first in [
        framed(b"hello, is this a web server?"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut stream = connect(address);
        stream.write_all(&first).unwrap();
        assert!(is_closed_by_remote(&mut stream));
    }
    assert_eq!(handle.call(|echo, _| echo.received), Some(0));
}

#[test]
fn a_frame_that_is_too_large_closes_its_connection_only() {
    let engine = Engine::start(1).unwrap();
    let (_handle, address) = start(&engine);
    let (mut bad, mut good) = (connect(address), connect(address));
    bad.write_all(&framed(&stun_request())).unwrap();
    assert_eq!(read_frame(&mut bad), stun_request());
    bad.write_all(&[0xFF, 0xFF, 1, 2, 3]).unwrap();
    assert!(is_closed_by_remote(&mut bad));
    good.write_all(&framed(&stun_request())).unwrap();
    assert_eq!(read_frame(&mut good), stun_request());
}

#[test]
fn a_remote_that_does_not_read_is_closed_when_a_mebibyte_waits() {
    let engine = Engine::start(1).unwrap();
    let (handle, address) = start(&engine);
    let mut stream = connect(address);
    let remote = stream.local_addr().unwrap();
    stream.write_all(&framed(&stun_request())).unwrap();
    assert_eq!(read_frame(&mut stream), stun_request());
    let before = greenroom_net::statistics().tcp_connections_aborted;
    let mut sent = 0;
    while greenroom_net::statistics().tcp_connections_aborted == before {
        assert!(sent < 5000, "64 MiB did not fill the buffers");
        handle.call(move |echo, _| {
            let contents = vec![1; 16_000];
            echo.pending.push(Transmit {
                protocol: Protocol::Tcp,
                source: address,
                destination: remote,
                contents,
            });
        });
        sent += 1;
    }
    // Then a datagram to it has no way, and the listener still takes others.
    let mut other = connect(address);
    other.write_all(&framed(&stun_request())).unwrap();
    assert_eq!(read_frame(&mut other), stun_request());
}

#[test]
fn close_frees_the_port_and_the_connections() {
    let engine = Engine::start(1).unwrap();
    let (handle, address) = start(&engine);
    let mut stream = connect(address);
    stream.write_all(&framed(&stun_request())).unwrap();
    assert_eq!(read_frame(&mut stream), stun_request());
    handle.close_and_wait();
    assert!(is_closed_by_remote(&mut stream));
    bind_tcp_all(&[LOOPBACK], address.port()).unwrap();
}
