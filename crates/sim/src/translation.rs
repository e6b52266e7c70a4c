//! The address translation of one host: what its sockets look like from outside.

use std::collections::HashMap;
use std::net::SocketAddr;

/// Where outside ports begin after a rebinding.
const FIRST_PORT: u16 = 50_000;

/// Transparent until the first `rebind`.
#[derive(Default)]
pub(crate) struct Translation {
    outside_of: HashMap<SocketAddr, SocketAddr>,
    inside_of: HashMap<SocketAddr, SocketAddr>,
    rebindings: u16,
    next_port: u16,
}

impl Translation {
    /// All mappings are forgotten: every socket gets another outside port with its next datagram, and what is sent
    /// to the former ones is lost.
    pub(crate) fn rebind(&mut self) {
        self.outside_of.clear();
        self.inside_of.clear();
        self.rebindings += 1;
        self.next_port = FIRST_PORT + self.rebindings.wrapping_mul(100) % 10_000;
    }

    /// The source that others see.
    pub(crate) fn outgoing(&mut self, inside: SocketAddr) -> SocketAddr {
        if self.rebindings == 0 {
            return inside;
        }
        if let Some(outside) = self.outside_of.get(&inside) {
            return *outside;
        }
        let outside = SocketAddr::new(inside.ip(), self.next_port);
        self.next_port += 1;
        self.outside_of.insert(inside, outside);
        self.inside_of.insert(outside, inside);
        outside
    }

    /// The socket that an address means to others. None: no socket any more.
    pub(crate) fn incoming(&self, outside: SocketAddr) -> Option<SocketAddr> {
        if self.rebindings == 0 {
            return Some(outside);
        }
        self.inside_of.get(&outside).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebinding_moves_every_socket_and_forgets_the_former_address() {
        let mut translation = Translation::default();
        let inside = SocketAddr::from(([10, 0, 0, 2], 4000));
        assert_eq!(translation.outgoing(inside), inside);
        assert_eq!(translation.incoming(inside), Some(inside));
        translation.rebind();
        assert_eq!(translation.incoming(inside), None);
        let first = translation.outgoing(inside);
        assert_ne!(first, inside);
        assert_eq!(translation.outgoing(inside), first);
        assert_eq!(translation.incoming(first), Some(inside));
        translation.rebind();
        assert_ne!(translation.outgoing(inside), first);
        assert_eq!(translation.incoming(first), None);
    }
}
