//! Process-wide counters of what the workers did.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// Counters of all workers of this process since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct NetStatistics { $($(#[$meta])* pub $name: u64,)* }

        #[derive(Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            const fn new() -> Counters { Counters { $($name: Counter::new(),)* } }
        }

        /// The counters as they are now.
        pub fn statistics() -> NetStatistics {
            NetStatistics { $($name: COUNTERS.$name.get(),)* }
        }
    };
}

counters! {
    /// UDP datagrams that reached an endpoint.
    udp_datagrams_received,
    /// UDP datagrams that the kernel took.
    udp_datagrams_sent,
    /// UDP datagrams that came to a shared socket and are no endpoint's: dropped.
    udp_datagrams_unrouted,
    /// Datagrams larger than a receive buffer: dropped.
    udp_datagrams_truncated,
    /// Datagrams that the kernel refused (buffers full, no route, too large): dropped.
    udp_send_errors,
    /// Datagrams whose source is no socket, or whose TCP connection is gone: dropped.
    transmits_without_route,
    /// Datagrams that were to go from a shared socket to a remote that is another endpoint's: dropped.
    transmits_to_taken_remotes,
    /// TCP connections taken.
    tcp_connections_accepted,
    /// TCP connections refused at the limit.
    tcp_connections_refused,
    /// TCP connections closed for what the remote did: no STUN in time, bad frames, too slow.
    tcp_connections_aborted,
    /// Frames that reached an endpoint.
    tcp_frames_received,
    /// Frames written to a connection's buffer.
    tcp_frames_sent,
    /// Panics that were caught in endpoints, media jobs and clock callbacks.
    panics_caught,
    /// Commands refused because an endpoint's queue was full.
    commands_refused,
}

/// One counter.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) static COUNTERS: Counters = Counters::new();
