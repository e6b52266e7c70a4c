//! Many datagrams with one call (sendmmsg(2)), those of one flow as one message (udp(7), UDP_SEGMENT).

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Control, EMPTY_VECTOR, check, empty_address, empty_header};
use crate::endpoint::Transmit;

/// Messages per sendmmsg; one may carry many datagrams of one flow.
const BATCH: usize = 64;
/// Datagrams that one sent message may carry; kernels allow 64 or more, and 64 KiB in all.
const SEGMENTS: usize = 50;
const SEGMENTS_BYTES: usize = 60_000;
/// Datagrams looked at for one sendmmsg.
const SEND_LIMIT: usize = 256;

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
