//! The addresses of this machine (getifaddrs(3)), and when they change (rtnetlink(7)).

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use super::{check, own};

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
