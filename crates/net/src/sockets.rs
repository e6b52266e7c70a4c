//! The sockets of an endpoint, and how to bind them.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Socket, Type};

use crate::syscalls::{self, receive_coalesced};

/// Asked of the kernel for each UDP socket; it may give less (net.core.rmem_max).
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// How often another free port is tried until all addresses have it.
const PORT_ATTEMPTS: usize = 64;
const LISTEN_BACKLOG: i32 = 256;

/// The sockets that an endpoint owns. They close with it.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Bound UDP sockets, each with an address of its own.
    pub udp: Vec<UdpSocket>,
    /// UDP sockets that another endpoint reads (clones of its own): this one only sends through them.
    pub sending: Vec<UdpSocket>,
    /// Listeners for ICE-TCP (RFC 6544, passive).
    pub tcp_listeners: Vec<TcpListener>,
}

/// Bind one UDP socket per address, all on one port; port 0 picks one that is free on every address.
///
/// The error names the address and port that could not be bound.
pub fn bind_udp_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<UdpSocket>> {
    let sockets = bind_all(addresses, port, bind_udp)?;
    Ok(sockets.into_iter().map(UdpSocket::from).collect())
}

/// Bind and listen on one TCP socket per address, all on one port; port 0 picks one that is free on every address.
///
/// The error names the address and port that could not be bound.
pub fn bind_tcp_all(addresses: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
    let sockets = bind_all(addresses, port, bind_tcp)?;
    Ok(sockets.into_iter().map(TcpListener::from).collect())
}

/// The addresses of this machine's interfaces that are up, IPv4 first. Link-local IPv6 is left out (it would need a
/// zone); loopback is given only when asked for.
pub fn local_addresses(include_loopback: bool) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in syscalls::interface_addresses()? {
        let wanted = match address {
            IpAddr::V4(v4) => !v4.is_unspecified() && !v4.is_multicast(),
            IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast() && !v6.is_unicast_link_local(),
        };
        if wanted && (include_loopback || !address.is_loopback()) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.sort_by_key(IpAddr::is_ipv6);
    Ok(addresses)
}

fn bind_all(
    addresses: &[IpAddr],
    port: u16,
    bind: fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Vec<Socket>> {
    let attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    let mut last_error = None;
    for _ in 0..attempts {
        match bind_on_one_port(addresses, port, bind) {
            Ok(sockets) => return Ok(sockets),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last_error = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last_error.unwrap_or_else(|| io::Error::other("no port was tried")))
}

fn bind_on_one_port(
    addresses: &[IpAddr],
    port: u16,
    bind: fn(SocketAddr) -> io::Result<Socket>,
) -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut port = port;
    for address in addresses {
        let wanted = SocketAddr::new(*address, port);
        let socket = bind(wanted).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("can't bind {wanted}: {error}; is it an address of this machine and the port free?"),
            )
        })?;
        if port == 0 {
            port = socket.local_addr()?.as_socket().map_or(0, |bound| bound.port());
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bind_udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Smaller buffers only cost drops under load, so a refusal is no error.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
    receive_coalesced(&socket);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
