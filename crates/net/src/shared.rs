//! UDP sockets that several endpoints of one worker use: one for each local address, open while anybody uses it.
//!
//! A remote knows a connection by nothing but the two addresses, once it is up: so each remote address is one
//! endpoint's alone on these sockets ([`routes`]). Whoever wants one that is taken needs a socket of its own.

mod routes;
mod stun;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

use routes::Routes;

use crate::endpoint::Transmit;
use crate::sockets::bind_udp_all;
use crate::syscalls::Epoll;

/// In the place of an endpoint's key, in tokens of these sockets: no endpoint has it.
pub(crate) const SHARED_KEY: u32 = 0;

struct SharedSocket {
    socket: UdpSocket,
    address: SocketAddr,
    users: HashSet<u32>,
}

/// Those of one worker.
#[derive(Default)]
pub(crate) struct SharedSockets {
    /// None: closed, and its place free.
    sockets: Vec<Option<SharedSocket>>,
    routes: Routes,
}

impl SharedSockets {
    /// Let this endpoint reach these remotes from here; the socket's address. None when another reaches one of them.
    pub(crate) fn join(
        &mut self,
        epoll: &Epoll,
        key: u32,
        address: IpAddr,
        remotes: &[SocketAddr],
        now: Instant,
    ) -> Result<Option<SocketAddr>, String> {
        let routes = &mut self.routes;
        if !remotes.iter().all(|remote| routes.is_free_for(key, *remote, now)) {
            return Ok(None);
        }
        let open = self.sockets.iter_mut().flatten();
        let bound = match open.into_iter().find(|shared| shared.address.ip() == address) {
            Some(shared) => {
                shared.users.insert(key);
                shared.address
            }
            None => self.open(epoll, key, address)?,
        };
        // More than may be had: what is beyond is refused when it comes to sending.
        for remote in remotes {
            self.routes.claim(key, *remote, now);
        }
        Ok(Some(bound))
    }

    /// This remote is this endpoint's from now on. False when it is another's.
    pub(crate) fn claim(&mut self, key: u32, remote: SocketAddr, now: Instant) -> bool {
        self.routes.claim(key, remote, now)
    }

    /// Whether this endpoint may send this; where its answer goes is learnt.
    pub(crate) fn admit(&mut self, key: u32, transmit: &Transmit, now: Instant) -> bool {
        self.routes
            .admit(key, transmit.destination, &transmit.contents, now)
    }

    /// Whose a datagram is.
    pub(crate) fn recipient(&self, remote: SocketAddr, contents: &[u8]) -> Option<u32> {
        self.routes.recipient(remote, contents)
    }

    /// The one that is bound here.
    pub(crate) fn at(&self, address: SocketAddr) -> Option<&UdpSocket> {
        let open = self.sockets.iter().flatten();
        let shared = open.into_iter().find(|shared| shared.address == address)?;
        Some(&shared.socket)
    }

    /// The one that a token names.
    pub(crate) fn get(&self, index: u32) -> Option<(&UdpSocket, SocketAddr)> {
        let shared = self.sockets.get(index as usize)?.as_ref()?;
        Some((&shared.socket, shared.address))
    }

    /// This endpoint needs the one at this address no longer.
    pub(crate) fn leave(&mut self, epoll: &Epoll, key: u32, address: SocketAddr, now: Instant) {
        self.leave_where(epoll, key, |shared| shared.address == address);
        if !self
            .sockets
            .iter()
            .flatten()
            .any(|shared| shared.users.contains(&key))
        {
            self.forget(key, now);
        }
    }

    /// This endpoint is gone.
    pub(crate) fn leave_all(&mut self, epoll: &Epoll, key: u32, now: Instant) {
        self.leave_where(epoll, key, |_| true);
        self.forget(key, now);
    }

    /// Close one that is of no use any more: where it was, and who used it.
    pub(crate) fn close(&mut self, epoll: &Epoll, index: u32) -> Option<(SocketAddr, Vec<u32>)> {
        let shared = self.sockets.get_mut(index as usize)?.take()?;
        epoll.remove(&shared.socket);
        Some((shared.address, shared.users.into_iter().collect()))
    }

    fn open(&mut self, epoll: &Epoll, key: u32, address: IpAddr) -> Result<SocketAddr, String> {
        let sockets = bind_udp_all(&[address], 0).map_err(|error| error.to_string())?;
        let socket = sockets.into_iter().next().ok_or("no socket was made")?;
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        let free = self.sockets.iter().position(Option::is_none);
        let index = free.unwrap_or(self.sockets.len());
        let token = (u64::from(SHARED_KEY) << 32) | index as u64;
        epoll.add(&socket, token).map_err(|error| error.to_string())?;
        let shared = Some(SharedSocket {
            socket,
            address,
            users: HashSet::from([key]),
        });
        match self.sockets.get_mut(index) {
            Some(place) => *place = shared,
            None => self.sockets.push(shared),
        }
        Ok(address)
    }

    fn leave_where(&mut self, epoll: &Epoll, key: u32, is_left: impl Fn(&SharedSocket) -> bool) {
        for place in &mut self.sockets {
            let Some(shared) = place.as_mut().filter(|shared| is_left(shared)) else {
                continue;
            };
            if shared.users.remove(&key) && shared.users.is_empty() {
                epoll.remove(&shared.socket);
                *place = None;
            }
        }
    }

    fn forget(&mut self, key: u32, now: Instant) {
        self.routes.release(key, now);
        // The next sockets have other ports: no remote knows them.
        if self.sockets.iter().all(Option::is_none) {
            *self = SharedSockets::default();
        }
    }
}
