//! What an endpoint orders about its sockets.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::{Slot, Source, Udp, UdpUse};
use crate::endpoint::{SocketEvent, SocketOrder};
use crate::sockets::bind_udp_all;
use crate::syscalls::Epoll;
use crate::worker::WorkerIo;

/// UDP sockets of one endpoint, closed ones' places included.
const MAX_UDP_SOCKETS: usize = 256;

impl Slot {
    /// Before what is sent with these orders.
    pub(super) fn open_sockets(&mut self, io: &mut WorkerIo, orders: &[SocketOrder], now: Instant) {
        for order in orders {
            match order {
                SocketOrder::Connect(opening) => self.connect(&io.epoll, *opening, now),
                SocketOrder::Bind(address) => {
                    let bound = self.bind(&io.epoll, *address);
                    self.tell_bound(*address, bound);
                }
                SocketOrder::Share(address, remotes) => {
                    let bound = self.share(io, *address, remotes, now);
                    self.tell_bound(*address, bound);
                }
                SocketOrder::Reach(remote) => self.reach(io, *remote, now),
                SocketOrder::Disconnect(_) | SocketOrder::Unbind(_) => {}
            }
        }
    }

    /// After it.
    pub(super) fn close_sockets(&mut self, io: &mut WorkerIo, orders: &[SocketOrder], now: Instant) {
        for order in orders {
            match order {
                SocketOrder::Disconnect(opening) => self.disconnect(&io.epoll, *opening),
                SocketOrder::Unbind(address) => self.unbind(io, *address, now),
                SocketOrder::Connect(_)
                | SocketOrder::Bind(_)
                | SocketOrder::Share(..)
                | SocketOrder::Reach(_) => {}
            }
        }
    }

    /// The shared socket at this address is gone.
    pub(crate) fn shared_socket_died(&mut self, address: SocketAddr, reason: &str) {
        for udp in self.udp.iter_mut().filter(|udp| udp.address == address) {
            udp.socket = UdpUse::Closed;
        }
        self.socket_events.push(SocketEvent::Lost(address, reason.into()));
    }

    /// This remote is another endpoint's on the shared sockets.
    pub(super) fn tell_taken(&mut self, remote: SocketAddr) {
        if !std::mem::replace(&mut self.told_taken, true) {
            self.socket_events.push(SocketEvent::Taken(remote));
        }
    }

    fn tell_bound(&mut self, address: IpAddr, bound: Result<SocketAddr, String>) {
        self.socket_events.push(match bound {
            Ok(bound) => SocketEvent::Bound(bound),
            Err(reason) => SocketEvent::BindFailed(address, reason),
        });
    }

    fn share(
        &mut self,
        io: &mut WorkerIo,
        address: IpAddr,
        remotes: &[SocketAddr],
        now: Instant,
    ) -> Result<SocketAddr, String> {
        let place = self.place()?;
        match io.shared.join(&io.epoll, self.key, address, remotes, now)? {
            Some(bound) => {
                self.put(place, UdpUse::Shared, bound);
                Ok(bound)
            }
            None => self.bind(&io.epoll, address),
        }
    }

    fn reach(&mut self, io: &mut WorkerIo, remote: SocketAddr, now: Instant) {
        let is_sharing = self.udp.iter().any(|udp| matches!(udp.socket, UdpUse::Shared));
        if is_sharing && !io.shared.claim(self.key, remote, now) {
            self.tell_taken(remote);
        }
    }

    fn bind(&mut self, epoll: &Epoll, address: IpAddr) -> Result<SocketAddr, String> {
        let place = self.place()?;
        let sockets = bind_udp_all(&[address], 0).map_err(|error| error.to_string())?;
        let socket = sockets.into_iter().next().ok_or("no socket was made")?;
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        let token = Source::Udp(place as u32).token(self.key);
        epoll.add(&socket, token).map_err(|error| error.to_string())?;
        self.put(place, UdpUse::Own(socket), address);
        Ok(address)
    }

    /// Where another socket can be put.
    fn place(&self) -> Result<usize, String> {
        let is_free = |udp: &Udp| matches!(udp.socket, UdpUse::Closed);
        let place = self.udp.iter().position(is_free).unwrap_or(self.udp.len());
        if place >= MAX_UDP_SOCKETS {
            return Err("there are too many sockets".into());
        }
        Ok(place)
    }

    fn put(&mut self, place: usize, socket: UdpUse, address: SocketAddr) {
        let udp = Udp { socket, address };
        match self.udp.get_mut(place) {
            Some(before) => *before = udp,
            None => self.udp.push(udp),
        }
    }

    fn unbind(&mut self, io: &mut WorkerIo, address: SocketAddr, now: Instant) {
        for udp in self.udp.iter_mut().filter(|udp| udp.address == address) {
            match std::mem::replace(&mut udp.socket, UdpUse::Closed) {
                UdpUse::Own(socket) => io.epoll.remove(&socket),
                UdpUse::Shared => io.shared.leave(&io.epoll, self.key, address, now),
                UdpUse::Sending(_) | UdpUse::Closed => {}
            }
        }
    }
}
