//! Many datagrams with one call (recvmmsg(2)), also of those that the kernel has joined (udp(7), UDP_GRO).

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::ptr;

use super::{Control, EMPTY_VECTOR, check, empty_address, empty_header};

/// Messages per recvmmsg; one may carry many datagrams of one flow.
const RECEIVE_BATCH: usize = 32;
/// The largest datagram taken: more than any path MTU WebRTC sends with.
const DATAGRAM_BYTES: usize = 2048;
/// What one message may carry.
const MESSAGE_BYTES: usize = 65_535;

/// From now on datagrams of one flow may arrive as one message. An old kernel refuses, which costs only time.
pub(crate) fn receive_coalesced(socket: &impl AsRawFd) {
    let on: libc::c_int = 1;
    // SAFETY: the value is an int that lives for the call.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            ptr::from_ref(&on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
}

/// A datagram of the last `receive`: the message it came in, and its place in that message's buffer.
struct Datagram {
    message: usize,
    start: usize,
    length: usize,
}

/// Buffers for one recvmmsg, used again for each.
pub(crate) struct ReceiveBatch {
    buffer: Vec<u8>,
    addresses: Vec<libc::sockaddr_storage>,
    controls: [Control; RECEIVE_BATCH],
    datagrams: Vec<Datagram>,
    is_drained: bool,
}

impl ReceiveBatch {
    pub(crate) fn new() -> ReceiveBatch {
        ReceiveBatch {
            buffer: vec![0; RECEIVE_BATCH * MESSAGE_BYTES],
            addresses: vec![empty_address(); RECEIVE_BATCH],
            controls: [Control::default(); RECEIVE_BATCH],
            datagrams: Vec::new(),
            is_drained: false,
        }
    }

    /// Read what is there now, at most 32 messages. How many datagrams that is; never waits.
    pub(crate) fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        self.datagrams.clear();
        let mut vectors = [EMPTY_VECTOR; RECEIVE_BATCH];
        let mut headers = [empty_header(); RECEIVE_BATCH];
        for (index, chunk) in self.buffer.chunks_exact_mut(MESSAGE_BYTES).enumerate() {
            vectors[index] = libc::iovec {
                iov_base: chunk.as_mut_ptr().cast(),
                iov_len: MESSAGE_BYTES,
            };
            let header = &mut headers[index].msg_hdr;
            header.msg_iov = &mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_name = ptr::from_mut(&mut self.addresses[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_control = ptr::from_mut(&mut self.controls[index]).cast();
            header.msg_controllen = mem::size_of::<Control>() as _;
        }
        let count = loop {
            // SAFETY: the headers point at buffers, addresses and controls that live in `self` and at `vectors` on
            // this frame; nothing moves until the call returns.
            let result = check(unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    RECEIVE_BATCH as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    ptr::null_mut(),
                )
            });
            match result {
                Ok(count) => break count as usize,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        for (message, header) in headers[..count].iter().enumerate() {
            self.split(message, header.msg_len as usize, segment_bytes(&header.msg_hdr));
        }
        self.is_drained = count < RECEIVE_BATCH;
        Ok(self.datagrams.len())
    }

    fn split(&mut self, message: usize, length: usize, segment: Option<usize>) {
        let step = segment.filter(|bytes| *bytes > 0).unwrap_or(length.max(1));
        // An empty datagram is one too.
        let starts = (0..length.max(1)).step_by(step);
        self.datagrams.extend(starts.map(|start| Datagram {
            message,
            start,
            length: step.min(length - start),
        }));
    }

    /// Whether the last `receive` left nothing behind.
    pub(crate) fn is_drained(&self) -> bool {
        self.is_drained
    }

    /// Sender and contents of a datagram of the last `receive`. None when it was too large.
    pub(crate) fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let datagram = self.datagrams.get(index)?;
        if datagram.length > DATAGRAM_BYTES {
            return None;
        }
        let start = datagram.message * MESSAGE_BYTES + datagram.start;
        let contents = self.buffer.get(start..start + datagram.length)?;
        Some((read_address(&self.addresses[datagram.message])?, contents))
    }
}

/// How long the datagrams in a received message are; None when it is one.
fn segment_bytes(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has filled in the control messages and their length; both live as long as the header.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        let found = control.as_ref()?;
        if (found.cmsg_level, found.cmsg_type) != (libc::SOL_UDP, libc::UDP_GRO) {
            return None;
        }
        let bytes = libc::CMSG_DATA(control).cast::<libc::c_int>().read_unaligned();
        usize::try_from(bytes).ok()
    }
}

fn read_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let pointer = ptr::from_ref(storage);
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, as the family says; the storage is large and aligned enough.
            let address = unsafe { &*pointer.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(
                ip,
                u16::from_be(address.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, with sockaddr_in6.
            let address = unsafe { &*pointer.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            // No flow label, no scope: addresses compare by IP and port.
            Some(SocketAddr::V6(SocketAddrV6::new(
                ip,
                u16::from_be(address.sin6_port),
                0,
                0,
            )))
        }
        _ => None,
    }
}
