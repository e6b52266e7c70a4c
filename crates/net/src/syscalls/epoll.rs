//! Waiting for many descriptors at once (epoll(7)).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::{check, own};

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Readiness {
    pub(crate) token: u64,
    pub(crate) writable: bool,
    /// Readable, hung up or in error: a read tells which.
    pub(crate) readable: bool,
}

/// An epoll set, level-triggered.
pub(crate) struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers are passed.
        let descriptor = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll {
            descriptor: own(descriptor),
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 256],
        })
    }

    pub(crate) fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, source.as_raw_fd(), token, false)
    }

    /// Also (or no longer) report when it can be written to.
    pub(crate) fn set_writable_interest(
        &self,
        source: &impl AsRawFd,
        token: u64,
        wanted: bool,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, source.as_raw_fd(), token, wanted)
    }

    /// Needed before a close: a copy of the descriptor in a forked child would keep it in the set.
    pub(crate) fn remove(&self, source: &impl AsRawFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, source.as_raw_fd(), 0, false);
    }

    /// Wait until something is ready or the time is over (None: no end), rounded up to a millisecond.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Readiness>) -> io::Result<()> {
        ready.clear();
        let timeout_ms = timeout.map_or(-1, |time| {
            let whole = time.as_nanos().div_ceil(1_000_000);
            i32::try_from(whole).unwrap_or(i32::MAX)
        });
        let capacity = self.events.len() as libc::c_int;
        // SAFETY: `events` has room for `capacity` entries.
        let result = check(unsafe {
            libc::epoll_wait(
                self.descriptor.as_raw_fd(),
                self.events.as_mut_ptr(),
                capacity,
                timeout_ms,
            )
        });
        let count = match result {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let failure = (libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR | libc::EPOLLRDHUP) as u32;
        ready.extend(self.events[..count].iter().map(|event| Readiness {
            token: event.u64,
            writable: event.events & libc::EPOLLOUT as u32 != 0,
            readable: event.events & failure != 0,
        }));
        Ok(())
    }

    fn control(&self, operation: libc::c_int, source: RawFd, token: u64, writable: bool) -> io::Result<()> {
        let interest = if writable {
            libc::EPOLLIN | libc::EPOLLOUT
        } else {
            libc::EPOLLIN
        };
        let mut event = libc::epoll_event {
            events: interest as u32,
            u64: token,
        };
        // SAFETY: `event` lives for the call.
        check(unsafe { libc::epoll_ctl(self.descriptor.as_raw_fd(), operation, source, &mut event) })?;
        Ok(())
    }
}
