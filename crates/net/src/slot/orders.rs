//! What an endpoint orders about its sockets.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::{Slot, Source, Udp};
use crate::endpoint::{SocketEvent, SocketOrder};
use crate::sockets::bind_udp_all;
use crate::syscalls::Epoll;

/// UDP sockets of one endpoint, closed ones' places included.
const MAX_UDP_SOCKETS: usize = 256;

impl Slot {
    /// Before what is sent with these orders.
    pub(super) fn open_sockets(&mut self, epoll: &Epoll, orders: &[SocketOrder], now: Instant) {
        for order in orders {
            match *order {
                SocketOrder::Connect(opening) => self.connect(epoll, opening, now),
                SocketOrder::Bind(address) => {
                    let event = match self.bind(epoll, address) {
                        Ok(bound) => SocketEvent::Bound(bound),
                        Err(reason) => SocketEvent::BindFailed(address, reason),
                    };
                    self.socket_events.push(event);
                }
                SocketOrder::Disconnect(_) | SocketOrder::Unbind(_) => {}
            }
        }
    }

    /// After it.
    pub(super) fn close_sockets(&mut self, epoll: &Epoll, orders: &[SocketOrder]) {
        for order in orders {
            match *order {
                SocketOrder::Disconnect(opening) => self.disconnect(epoll, opening),
                SocketOrder::Unbind(address) => self.unbind(epoll, address),
                SocketOrder::Connect(_) | SocketOrder::Bind(_) => {}
            }
        }
    }

    fn bind(&mut self, epoll: &Epoll, address: IpAddr) -> Result<SocketAddr, String> {
        let free = self.udp.iter().position(|udp| udp.socket.is_none());
        let index = free.unwrap_or(self.udp.len());
        if index >= MAX_UDP_SOCKETS {
            return Err("there are too many sockets".into());
        }
        let sockets = bind_udp_all(&[address], 0).map_err(|error| error.to_string())?;
        let socket = sockets.into_iter().next().ok_or("no socket was made")?;
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        let token = Source::Udp(index as u32).token(self.key);
        epoll.add(&socket, token).map_err(|error| error.to_string())?;
        let socket = Some(socket);
        let udp = Udp {
            socket,
            address,
            is_read: true,
        };
        match self.udp.get_mut(index) {
            Some(place) => *place = udp,
            None => self.udp.push(udp),
        }
        Ok(address)
    }

    fn unbind(&mut self, epoll: &Epoll, address: SocketAddr) {
        for udp in self.udp.iter_mut().filter(|udp| udp.address == address) {
            if let Some(socket) = udp.socket.take() {
                epoll.remove(&socket);
            }
        }
    }
}
