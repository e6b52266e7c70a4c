//! The datagrams of an endpoint: from and to UDP sockets of its own, and those it shares.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use super::Slot;
use crate::endpoint::{Protocol, Received, Transmit};
use crate::reused::emptied;
use crate::statistics::COUNTERS;
use crate::syscalls::send_batch;
use crate::worker::WorkerIo;

/// Datagrams that one endpoint gets per turn, so that a busy one does not starve its neighbours.
const DATAGRAMS_PER_TURN: usize = 256;

pub(super) enum UdpUse {
    Own(UdpSocket),
    /// Another endpoint reads it.
    Sending(UdpSocket),
    /// The worker's, for several endpoints.
    Shared,
    /// Closed, and its place free.
    Closed,
}

pub(super) struct Udp {
    pub(super) socket: UdpUse,
    pub(super) address: SocketAddr,
}

impl Udp {
    /// What this endpoint reads.
    pub(super) fn own(&self) -> Option<&UdpSocket> {
        match &self.socket {
            UdpUse::Own(socket) => Some(socket),
            UdpUse::Sending(_) | UdpUse::Shared | UdpUse::Closed => None,
        }
    }
}

impl Slot {
    pub(super) fn receive(&mut self, io: &mut WorkerIo, index: usize, now: Instant) {
        if self.turn != io.turn {
            self.turn = io.turn;
            self.budget = DATAGRAMS_PER_TURN;
        }
        let Some(Udp {
            socket: UdpUse::Own(socket),
            address,
        }) = self.udp.get(index)
        else {
            return;
        };
        while self.budget > 0 && self.guarded.failure.is_none() {
            let count = match io.received.receive(socket) {
                Ok(count) => count,
                Err(error) if is_fatal(&error) => {
                    self.guarded
                        .fail(format!("the UDP socket {address} died: {error}"));
                    return;
                }
                // Nothing more, or the kernel's report of an earlier datagram that did not arrive.
                Err(_) => return,
            };
            self.had_input = true;
            self.budget = self.budget.saturating_sub(count);
            COUNTERS.udp_datagrams_received.add(count as u64);
            for datagram in (0..count).map(|number| io.received.datagram(number)) {
                let Some((source, contents)) = datagram else {
                    COUNTERS.udp_datagrams_truncated.add(1);
                    continue;
                };
                let received = Received {
                    protocol: Protocol::Udp,
                    source,
                    destination: *address,
                    contents,
                };
                self.guarded
                    .call(|endpoint| endpoint.handle_datagram(now, received));
            }
            if io.received.is_drained() {
                return;
            }
        }
    }

    /// A datagram of a shared socket.
    pub(crate) fn take_datagram(&mut self, now: Instant, received: Received<'_>) {
        self.had_input = true;
        self.guarded
            .call(|endpoint| endpoint.handle_datagram(now, received));
    }

    /// Send what goes from UDP sockets; how many datagrams that is.
    pub(super) fn send_datagrams(
        &mut self,
        io: &mut WorkerIo,
        transmits: &[Transmit],
        now: Instant,
    ) -> usize {
        let mut routed = 0;
        let mut batch: Vec<&Transmit> = emptied(std::mem::take(&mut io.batch));
        let mut taken = None;
        for udp in &self.udp {
            let own =
                |transmit: &&Transmit| transmit.protocol == Protocol::Udp && transmit.source == udp.address;
            if matches!(udp.socket, UdpUse::Closed) {
                continue;
            }
            batch.extend(transmits.iter().filter(own));
            routed += batch.len();
            match &udp.socket {
                UdpUse::Own(socket) | UdpUse::Sending(socket) => send_udp(socket, &batch),
                UdpUse::Shared => taken = send_shared(io, self.key, udp.address, &mut batch, now).or(taken),
                UdpUse::Closed => {}
            }
            batch.clear();
        }
        io.batch = emptied(batch);
        taken.into_iter().for_each(|remote| self.tell_taken(remote));
        routed
    }
}

/// Send what is this endpoint's to send from a shared socket; the remote of what was not.
fn send_shared(
    io: &mut WorkerIo,
    key: u32,
    address: SocketAddr,
    batch: &mut Vec<&Transmit>,
    now: Instant,
) -> Option<SocketAddr> {
    let mut taken = None;
    batch.retain(|transmit| {
        let is_admitted = io.shared.admit(key, transmit, now);
        if !is_admitted {
            COUNTERS.transmits_to_taken_remotes.add(1);
            taken = Some(transmit.destination);
        }
        is_admitted
    });
    if let Some(socket) = io.shared.at(address) {
        send_udp(socket, batch);
    }
    taken
}

/// Whether the socket itself is gone, not only this datagram.
pub(crate) fn is_fatal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EBADF | libc::ENOTSOCK | libc::EINVAL | libc::EFAULT)
    )
}

fn send_udp(socket: &UdpSocket, transmits: &[&Transmit]) {
    let mut rest = transmits;
    while !rest.is_empty() {
        match send_batch(socket, rest) {
            Ok(sent) => {
                COUNTERS.udp_datagrams_sent.add(sent as u64);
                rest = rest.get(sent.max(1)..).unwrap_or_default();
            }
            // Buffers are full: as if the network had lost the rest.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS)) => {
                COUNTERS.udp_send_errors.add(rest.len() as u64);
                return;
            }
            Err(error) => {
                let refused = error.raw_os_error() == Some(libc::ECONNREFUSED);
                COUNTERS.udp_send_errors.add(u64::from(!refused));
                log::debug!("a datagram to {} was not sent: {error}", rest[0].destination);
                rest = &rest[1..];
            }
        }
    }
}
