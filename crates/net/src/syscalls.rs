//! The system calls that std and socket2 lack, each behind a safe function: epoll, eventfd, recvmmsg, sendmmsg,
//! getifaddrs, rtnetlink and fork handlers. Nothing else of this crate has unsafe code.

mod addresses;
mod epoll;
mod receiving;
mod sending;

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

pub(crate) use addresses::{AddressWatch, interface_addresses};
pub(crate) use epoll::{Epoll, Readiness};
pub(crate) use receiving::{ReceiveBatch, receive_coalesced};
pub(crate) use sending::send_batch;

/// Room for one control message with a number in it, aligned.
type Control = [u64; 4];

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: every caller passes a descriptor that a system call has just made for it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// A wake-up counter behind a descriptor (eventfd(2)), non-blocking.
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers are passed.
        let descriptor = check(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        Ok(EventFd(own(descriptor)))
    }

    /// Make it readable. Already readable: it stays so.
    pub(crate) fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is 8 readable bytes. The only possible error, a full counter, means it is readable.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Make it unreadable.
    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer is 8 writable bytes. The only possible error, an empty counter, is what is wanted.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all zeroes is a valid value of this plain C struct.
    unsafe { mem::zeroed() }
}

fn empty_address() -> libc::sockaddr_storage {
    // SAFETY: all zeroes is a valid value of this plain C struct.
    unsafe { mem::zeroed() }
}

const EMPTY_VECTOR: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// Run these around every fork of this process: before it, and after it in the parent and in the child.
pub(crate) fn on_fork(
    prepare: extern "C" fn(),
    parent: extern "C" fn(),
    child: extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: the functions are safe ones that live as long as the process.
    let error = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(error))
    }
}
