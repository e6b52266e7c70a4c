//! The system calls that std and socket2 lack, each behind a safe function: epoll, eventfd, recvmmsg, sendmmsg,
//! getifaddrs, rtnetlink and fork handlers. The only file of this crate with unsafe code.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::endpoint::Transmit;

/// Messages per recvmmsg or sendmmsg; one may carry many datagrams of one flow (udp(7), UDP_SEGMENT and UDP_GRO).
pub(crate) const BATCH: usize = 64;
const RECEIVE_BATCH: usize = 32;
/// The largest datagram taken: more than any path MTU WebRTC sends with.
pub(crate) const DATAGRAM_BYTES: usize = 2048;
/// What one message may carry.
const MESSAGE_BYTES: usize = 65_535;
/// Datagrams that one sent message may carry; kernels allow 64 or more, and 64 KiB in all.
const SEGMENTS: usize = 50;
const SEGMENTS_BYTES: usize = 60_000;
/// Datagrams looked at for one sendmmsg.
const SEND_LIMIT: usize = 256;
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

/// Readable when an address of this machine has come or gone (rtnetlink(7)), non-blocking.
pub(crate) struct AddressWatch(OwnedFd);

impl AddressWatch {
    pub(crate) fn new() -> io::Result<AddressWatch> {
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers are passed.
        let descriptor = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
        let watch = AddressWatch(own(descriptor));
        // SAFETY: all zeroes is a valid sockaddr_nl.
        let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = (libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR | libc::RTMGRP_LINK) as u32;
        let length = mem::size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the address is of the length given and lives for the call.
        check(unsafe { libc::bind(descriptor, ptr::from_ref(&address).cast(), length) })?;
        Ok(watch)
    }

    /// Read everything, so that it is unreadable; what it says is looked up instead.
    pub(crate) fn clear(&self) {
        let mut scratch = [0u8; 4096];
        // Ends with an error when nothing is left. A full buffer (ENOBUFS) is reported once, and more may follow.
        for _ in 0..10_000 {
            // SAFETY: the buffer has the length given.
            let count =
                unsafe { libc::recv(self.0.as_raw_fd(), scratch.as_mut_ptr().cast(), scratch.len(), 0) };
            let error = io::Error::last_os_error().raw_os_error();
            if count < 0 && error != Some(libc::ENOBUFS) && error != Some(libc::EINTR) {
                return;
            }
        }
    }
}

impl AsRawFd for AddressWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

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

/// Cleared for good when the kernel, or the device behind it, cannot cut messages into datagrams.
static CAN_SEGMENT: AtomicBool = AtomicBool::new(true);

/// How many of the first datagrams can be sent as one message: all but the last of one length, to one address.
fn segments(transmits: &[&Transmit], limit: usize) -> usize {
    let first = transmits[0];
    let length = first.contents.len();
    let limit = limit.min(SEGMENTS).min(SEGMENTS_BYTES / length.max(1)).max(1);
    let mut count = 1;
    for transmit in transmits.iter().take(limit).skip(1) {
        let is_same = transmit.destination == first.destination && !transmit.contents.is_empty();
        if !is_same || transmit.contents.len() > length {
            break;
        }
        count += 1;
        if transmit.contents.len() < length {
            break;
        }
    }
    count
}

/// Send datagrams (at most 256 are looked at) in order. How many the kernel took: at least one, or the error of the first.
pub(crate) fn send_batch(socket: &impl AsRawFd, transmits: &[&Transmit]) -> io::Result<usize> {
    let can_segment = CAN_SEGMENT.load(Ordering::Relaxed);
    match send_segmented(socket, transmits, if can_segment { SEGMENTS } else { 1 }) {
        Err(error) if can_segment => match error.raw_os_error() {
            Some(libc::EIO | libc::EINVAL | libc::EOPNOTSUPP) => {
                log::info!("datagrams are sent one by one: {error}");
                CAN_SEGMENT.store(false, Ordering::Relaxed);
                send_segmented(socket, transmits, 1)
            }
            // The path to this address takes less at once.
            Some(libc::EMSGSIZE) => send_segmented(socket, transmits, 1),
            _ => Err(error),
        },
        result => result,
    }
}

fn send_segmented(socket: &impl AsRawFd, transmits: &[&Transmit], limit: usize) -> io::Result<usize> {
    let transmits = &transmits[..transmits.len().min(SEND_LIMIT)];
    let mut vectors = [EMPTY_VECTOR; SEND_LIMIT];
    for (vector, transmit) in vectors.iter_mut().zip(transmits) {
        *vector = libc::iovec {
            iov_base: transmit.contents.as_ptr().cast_mut().cast(),
            iov_len: transmit.contents.len(),
        };
    }
    let mut addresses = [empty_address(); BATCH];
    let mut controls = [Control::default(); BATCH];
    let mut headers = [empty_header(); BATCH];
    // The first datagram of each message.
    let mut starts = [0; BATCH + 1];
    let mut count = 0;
    while count < BATCH && starts[count] < transmits.len() {
        let start = starts[count];
        let number = segments(&transmits[start..], limit);
        let header = &mut headers[count].msg_hdr;
        header.msg_iov = &mut vectors[start];
        header.msg_iovlen = number as _;
        header.msg_name = ptr::from_mut(&mut addresses[count]).cast();
        header.msg_namelen = write_address(transmits[start].destination, &mut addresses[count]);
        if number > 1 {
            write_segment_bytes(
                header,
                &mut controls[count],
                transmits[start].contents.len() as u16,
            );
        }
        count += 1;
        starts[count] = start + number;
    }
    loop {
        // SAFETY: `count` headers point at vectors, addresses and controls on this frame and at contents that are
        // borrowed for the call; the kernel only reads them.
        let result = check(unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        });
        match result {
            Ok(sent) => return Ok(starts[sent as usize]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn write_segment_bytes(header: &mut libc::msghdr, control: &mut Control, bytes: u16) {
    const LENGTH: libc::c_uint = mem::size_of::<u16>() as libc::c_uint;
    header.msg_control = ptr::from_mut(control).cast();
    // SAFETY: the control buffer is aligned and has room for one header and a number.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(LENGTH) as _;
        if let Some(message) = libc::CMSG_FIRSTHDR(header).as_mut() {
            message.cmsg_level = libc::SOL_UDP;
            message.cmsg_type = libc::UDP_SEGMENT;
            message.cmsg_len = libc::CMSG_LEN(LENGTH) as _;
            libc::CMSG_DATA(message).cast::<u16>().write_unaligned(bytes);
        }
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

fn write_address(address: SocketAddr, storage: &mut libc::sockaddr_storage) -> libc::socklen_t {
    let pointer = ptr::from_mut(storage);
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage is large and aligned enough for any address.
            let out = unsafe { &mut *pointer.cast::<libc::sockaddr_in>() };
            out.sin_family = libc::AF_INET as libc::sa_family_t;
            out.sin_port = v4.port().to_be();
            out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let out = unsafe { &mut *pointer.cast::<libc::sockaddr_in6>() };
            out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            out.sin6_port = v6.port().to_be();
            out.sin6_addr.s6_addr = v6.ip().octets();
            out.sin6_scope_id = v6.scope_id();
            mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// Every address of every interface that is up.
pub(crate) fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` lives for the call.
    check(unsafe { libc::getifaddrs(&mut list) })?;
    let mut addresses = Vec::new();
    let mut entry = list;
    // SAFETY: the list is linked by getifaddrs, ends with null and is freed once, after the last use.
    unsafe {
        while let Some(interface) = entry.as_ref() {
            let up = interface.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
            if up && let Some(address) = interface_address(interface.ifa_addr) {
                addresses.push(address);
            }
            entry = interface.ifa_next;
        }
        libc::freeifaddrs(list);
    }
    Ok(addresses)
}

/// # Safety
/// `address` is null or points at an address as large as its family says.
unsafe fn interface_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: promised by the caller.
    unsafe {
        match i32::from(address.as_ref()?.sa_family) {
            libc::AF_INET => {
                let bits = (*address.cast::<libc::sockaddr_in>()).sin_addr.s_addr;
                Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(bits))))
            }
            libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(
                (*address.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr,
            ))),
            _ => None,
        }
    }
}

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
