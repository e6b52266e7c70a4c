//! The sockets of a forwarding unit, and the candidates they make.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use greenroom_net::{Sockets, bind_tcp_all, bind_udp_all, local_addresses};
use greenroom_sfu::LocalCandidate;
use greenroom_sim::{Bound, Simulator};
use greenroom_transport::Protocol;

/// RFC 8445 section 5.1.2.1: host candidates, UDP before TCP (RFC 6544 section 4.2), component 1.
const UDP_PRIORITY: u32 = 2_130_706_431;
const TCP_PRIORITY: u32 = 1_671_430_143;

/// What was bound.
pub struct Listening {
    pub candidates: Vec<LocalCandidate>,
    pub udp_port: u16,
    pub tcp_port: Option<u16>,
}

impl Listening {
    /// `candidate:` lines without the ufrag, each address once.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            let (name, priority, suffix) = match candidate.protocol {
                Protocol::Udp => ("udp", UDP_PRIORITY, ""),
                Protocol::Tcp => ("tcp", TCP_PRIORITY, " tcptype passive"),
            };
            let priority = priority - (index as u32) * 256;
            let (ip, port) = (candidate.advertised.ip(), candidate.advertised.port());
            let end = format!("{ip} {port} typ host{suffix} generation 0");
            if !lines
                .iter()
                .any(|line| line.ends_with(&end) && line.contains(&format!(" {name} ")))
            {
                lines.push(format!("candidate:{} 1 {name} {priority} {end}", index + 1));
            }
        }
        lines
    }
}

fn parse_all(addresses: &[String]) -> Result<Vec<IpAddr>, String> {
    let parse = |text: &String| {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>()
            .map_err(|_| format!("address `{text}` is not usable: give an IP address"))
    };
    addresses.iter().map(parse).collect()
}

/// An unspecified address stands for all of this machine's: packets have to be told apart by where they came in.
fn expand(addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, String> {
    let mut expanded: Vec<IpAddr> = Vec::new();
    for address in addresses {
        let mut found = vec![address];
        if address.is_unspecified() {
            found = local_addresses(true)
                .map_err(|error| format!("the local addresses can't be listed: {error}"))?;
            found.retain(|local| local.is_ipv4() == address.is_ipv4());
        }
        found.retain(|local| !expanded.contains(local));
        expanded.append(&mut found);
    }
    if expanded.is_empty() {
        return Err("no address to bind: give at least one in bind_addresses".into());
    }
    Ok(expanded)
}

/// Binds the sockets. The error names what can't be bound.
pub fn bind(
    addresses: &[String],
    udp_port: u16,
    tcp_port: Option<u16>,
    advertised: &[String],
) -> Result<(Listening, Sockets), String> {
    let addresses = expand(parse_all(addresses)?)?;
    let advertised = parse_all(advertised)?;
    let udp = bind_udp_all(&addresses, udp_port).map_err(|error| error.to_string())?;
    let tcp_listeners = match tcp_port {
        Some(port) => bind_tcp_all(&addresses, port).map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    let mut candidates = Vec::new();
    let mut add = |protocol, bound: std::io::Result<SocketAddr>| {
        let address = bound.map_err(|error| format!("a bound socket has no address: {error}"))?;
        let told = advertised_for(&advertised, candidates.len(), address);
        candidates.push(LocalCandidate {
            protocol,
            address,
            advertised: told,
        });
        Ok::<u16, String>(address.port())
    };
    let mut bound_udp_port = udp_port;
    for socket in &udp {
        bound_udp_port = add(Protocol::Udp, socket.local_addr())?;
    }
    let mut bound_tcp_port = None;
    for listener in &tcp_listeners {
        bound_tcp_port = Some(add(Protocol::Tcp, listener.local_addr())?);
    }
    Ok((
        Listening {
            candidates,
            udp_port: bound_udp_port,
            tcp_port: bound_tcp_port,
        },
        Sockets {
            udp,
            tcp_listeners,
            ..Sockets::default()
        },
    ))
}

/// For each of the `count` units of a server its sockets: the first reads them, the others only send through them.
pub fn share(sockets: Sockets, count: usize) -> Result<Vec<Sockets>, String> {
    let clones = (1..count).map(|_| {
        let sending: std::io::Result<_> = sockets.udp.iter().map(UdpSocket::try_clone).collect();
        Ok(Sockets {
            sending: sending.map_err(|error| format!("a UDP socket can't be shared: {error}"))?,
            ..Sockets::default()
        })
    });
    let mut shared = clones.collect::<Result<Vec<Sockets>, String>>()?;
    shared.insert(0, sockets);
    Ok(shared)
}

/// As `bind`, in a simulation: UDP only, for its network has no TCP of the engine's.
pub fn bind_simulated(
    simulator: &Simulator,
    addresses: &[String],
    udp_port: u16,
    advertised: &[String],
) -> Result<(Listening, Bound), String> {
    let (addresses, advertised) = (parse_all(addresses)?, parse_all(advertised)?);
    let bound = simulator
        .bind(&addresses, udp_port)
        .map_err(|error| error.to_string())?;
    let candidates = bound.addresses().iter().enumerate();
    let candidates = candidates.map(|(index, address)| LocalCandidate {
        protocol: Protocol::Udp,
        address: *address,
        advertised: advertised_for(&advertised, index, *address),
    });
    let listening = Listening {
        candidates: candidates.collect(),
        udp_port: bound.addresses().first().map_or(0, SocketAddr::port),
        tcp_port: None,
    };
    Ok((listening, bound))
}

/// The advertised address of the same family for the candidate at `index`, going round; the bound one if there is none.
fn advertised_for(advertised: &[IpAddr], index: usize, bound: SocketAddr) -> SocketAddr {
    let fitting: Vec<&IpAddr> = advertised
        .iter()
        .filter(|address| address.is_ipv4() == bound.is_ipv4())
        .collect();
    let told = fitting.get(index.checked_rem(fitting.len()).unwrap_or(0));
    told.map_or(bound, |ip| SocketAddr::new(**ip, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_name_the_advertised_addresses_once() {
        let loopback = ["127.0.0.1".to_owned()];
        let (listening, sockets) = bind(&loopback, 0, Some(0), &["203.0.113.5".to_owned()]).expect("bound");
        assert_eq!((sockets.udp.len(), sockets.tcp_listeners.len()), (1, 1));
        let (udp, tcp) = (listening.udp_port, listening.tcp_port.expect("bound"));
        let expected = [
            format!("candidate:1 1 udp 2130706431 203.0.113.5 {udp} typ host generation 0"),
            format!("candidate:2 1 tcp 1671429887 203.0.113.5 {tcp} typ host tcptype passive generation 0"),
        ];
        assert_eq!(listening.lines(), expected);
    }

    #[test]
    fn bad_addresses_are_named() {
        let error = bind(&["localhost".to_owned()], 0, None, &[])
            .err()
            .expect("refused");
        assert!(error.contains("localhost"), "{error}");
        assert!(bind(&[], 0, None, &[]).is_err());
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let port = taken.local_addr().expect("bound").port();
        let error = bind(&["127.0.0.1".to_owned()], port, None, &[])
            .err()
            .expect("refused");
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    }
}
