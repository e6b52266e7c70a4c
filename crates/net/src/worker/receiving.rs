//! What arrives on the sockets that endpoints of a worker share.

use std::time::Instant;

use super::{Worker, touch};
use crate::endpoint::{Protocol, Received};
use crate::slot::is_fatal;
use crate::statistics::COUNTERS;

/// Datagrams of one shared socket in one turn.
const DATAGRAMS_PER_TURN: usize = 256;

impl Worker {
    pub(super) fn receive_shared(&mut self, index: u32, now: Instant) {
        let mut budget = DATAGRAMS_PER_TURN;
        while budget > 0 {
            let Some((socket, destination)) = self.io.shared.get(index) else {
                return;
            };
            let count = match self.io.received.receive(socket) {
                Ok(count) => count,
                Err(error) if is_fatal(&error) => return self.lose_shared(index, &error.to_string()),
                // Nothing more, or the kernel's report of an earlier datagram that did not arrive.
                Err(_) => return,
            };
            budget = budget.saturating_sub(count);
            for datagram in (0..count).map(|number| self.io.received.datagram(number)) {
                let Some((source, contents)) = datagram else {
                    COUNTERS.udp_datagrams_truncated.add(1);
                    continue;
                };
                let key = self.io.shared.recipient(source, contents);
                let Some((key, slot)) = key.and_then(|key| Some((key, self.slots.get_mut(&key)?))) else {
                    COUNTERS.udp_datagrams_unrouted.add(1);
                    continue;
                };
                COUNTERS.udp_datagrams_received.add(1);
                slot.take_datagram(
                    now,
                    Received {
                        protocol: Protocol::Udp,
                        source,
                        destination,
                        contents,
                    },
                );
                touch(&mut self.touched, key, slot);
            }
            if self.io.received.is_drained() {
                return;
            }
        }
    }

    /// Those who used it may bind another.
    fn lose_shared(&mut self, index: u32, reason: &str) {
        let Some((address, users)) = self.io.shared.close(&self.io.epoll, index) else {
            return;
        };
        log::error!("the UDP socket {address} died: {reason}");
        for key in users {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.shared_socket_died(address, reason);
                touch(&mut self.touched, key, slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::endpoint::{Endpoint, SocketEvent, SocketOrder, TransmitQueue};
    use crate::handle::WorkerShared;
    use crate::sockets::Sockets;
    use crate::worker::NewEndpoint;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Wants to share, again whenever the socket is lost.
    struct Sharer {
        remote: SocketAddr,
        orders: Vec<SocketOrder>,
        events: Mutex<Sender<SocketEvent>>,
    }

    impl Sharer {
        fn share(&mut self) {
            self.orders.push(SocketOrder::Share(LOOPBACK, vec![self.remote]));
        }
    }

    impl Endpoint for Sharer {
        fn handle_datagram(&mut self, _now: Instant, _received: Received<'_>) {}
        fn handle_timeout(&mut self, _now: Instant) {}
        fn poll_timeout(&mut self) -> Option<Instant> {
            None
        }
        fn poll_transmit(&mut self, out: &mut TransmitQueue) {
            self.orders.drain(..).for_each(|order| out.order(order));
        }
        fn handle_socket(&mut self, _now: Instant, event: SocketEvent) {
            if matches!(event, SocketEvent::Lost(..)) {
                self.share();
            }
            self.events.lock().unwrap().send(event).unwrap();
        }
        fn failed(&mut self, reason: &str) {
            panic!("{reason}");
        }
    }

    fn insert(worker: &mut Worker, key: u32) -> Receiver<SocketEvent> {
        let (events, seen) = channel();
        let mut sharer = Sharer {
            remote: SocketAddr::new(LOOPBACK, 1000 + key as u16),
            orders: vec![],
            events: Mutex::new(events),
        };
        sharer.share();
        worker.insert(NewEndpoint {
            key,
            state: Arc::default(),
            endpoint: Box::new(sharer),
            sockets: Sockets::default(),
        });
        seen
    }

    fn bound(seen: &Receiver<SocketEvent>) -> SocketAddr {
        match seen.try_recv() {
            Ok(SocketEvent::Bound(address)) => address,
            other => panic!("{other:?} instead of a socket"),
        }
    }

    #[test]
    fn all_who_used_a_socket_that_died_are_told_and_get_another() {
        let mut worker = Worker::new(Arc::new(WorkerShared::new().unwrap())).unwrap();
        let users = [insert(&mut worker, 1), insert(&mut worker, 2)];
        worker.flush_touched(Instant::now());
        let before = bound(&users[0]);
        assert_eq!(bound(&users[1]), before);
        worker.lose_shared(0, "gone");
        worker.flush_touched(Instant::now());
        let lost = SocketEvent::Lost(before, "gone".into());
        users
            .iter()
            .for_each(|user| assert_eq!(user.try_recv(), Ok(lost.clone())));
        let after = bound(&users[0]);
        assert_eq!(bound(&users[1]), after);
        // Nothing is left of one that nobody uses.
        worker.close(1);
        worker.close(2);
        assert!(worker.io.shared.get(0).is_none());
        worker.lose_shared(0, "gone");
    }
}
