//! Received datagrams on their way from the unit that reads the sockets to the one that they are for.

use std::net::SocketAddr;
use std::sync::Mutex;

use greenroom_transport::{Protocol, Received};

use super::calls::lock;

/// Memory that a batch keeps when it is empty; what a burst needed beyond it is freed.
const KEPT_BYTES: usize = 1024 * 1024;

/// Received datagrams of several transports of one unit.
#[derive(Default)]
pub struct Batch {
    datagrams: Vec<Datagram>,
    contents: Vec<u8>,
}

struct Datagram {
    protocol: Protocol,
    source: SocketAddr,
    destination: SocketAddr,
    length: usize,
}

impl Batch {
    pub fn push(&mut self, received: &Received<'_>) {
        self.contents.extend_from_slice(received.contents);
        self.datagrams.push(Datagram {
            protocol: received.protocol,
            source: received.source,
            destination: received.destination,
            length: received.contents.len(),
        });
    }

    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// In the order that they came in.
    pub fn received(&self) -> impl Iterator<Item = Received<'_>> {
        let mut rest = self.contents.as_slice();
        self.datagrams.iter().map(move |datagram| {
            let (contents, after) = rest.split_at(datagram.length);
            rest = after;
            Received {
                protocol: datagram.protocol,
                source: datagram.source,
                destination: datagram.destination,
                contents,
            }
        })
    }

    pub fn clear(&mut self) {
        self.datagrams.clear();
        self.contents.clear();
        self.datagrams
            .shrink_to(KEPT_BYTES / std::mem::size_of::<Datagram>());
        self.contents.shrink_to(KEPT_BYTES);
    }

    fn append(&mut self, later: &mut Batch) {
        self.datagrams.append(&mut later.datagrams);
        self.contents.append(&mut later.contents);
    }
}

/// Where a unit finds what was handed over to it. Three batches take turns, so that none is made anew: one is filled, one
/// is here, one is worked off.
#[derive(Default)]
pub struct Inbox(Mutex<Batch>);

impl Inbox {
    /// Puts in what a batch holds; it comes back empty. True when nothing was here: the unit has to be told.
    pub fn put(&self, batch: &mut Batch) -> bool {
        let mut here = lock(&self.0);
        let was_empty = here.is_empty();
        if was_empty {
            std::mem::swap(&mut *here, batch);
        } else {
            here.append(batch);
        }
        was_empty
    }

    /// Takes out everything, in exchange for an empty batch.
    pub fn take(&self, empty: &mut Batch) {
        std::mem::swap(&mut *lock(&self.0), empty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(batch: &mut Batch, contents: &[u8]) {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        batch.push(&Received {
            protocol: Protocol::Udp,
            source: address,
            destination: address,
            contents,
        });
    }

    fn contents(batch: &Batch) -> Vec<&[u8]> {
        batch.received().map(|received| received.contents).collect()
    }

    #[test]
    fn what_is_put_in_is_taken_out_in_order_and_told_of_once() {
        let (inbox, mut filled, mut taken) = (Inbox::default(), Batch::default(), Batch::default());
        for _ in 0..3 {
            push(&mut filled, b"first");
            assert!(inbox.put(&mut filled));
            push(&mut filled, b"");
            push(&mut filled, b"third");
            assert!(!inbox.put(&mut filled));
            assert_eq!(filled.len(), 0);
            inbox.take(&mut taken);
            assert_eq!(contents(&taken), [&b"first"[..], b"", b"third"]);
            taken.clear();
        }
    }

    #[test]
    fn a_burst_leaves_little_behind() {
        let mut batch = Batch::default();
        for _ in 0..100_000 {
            push(&mut batch, &[0; 100]);
        }
        batch.clear();
        assert!(batch.contents.capacity() <= KEPT_BYTES);
        assert!(batch.datagrams.capacity() * std::mem::size_of::<Datagram>() <= KEPT_BYTES);
    }
}
