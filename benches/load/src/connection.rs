//! One peer connection of a participant: a socket, a transport and what flows through them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use greenroom_transport::{
    BufferPool, Certificate, Protocol, Received, RemoteParameters, Transport, TransportConfig, TransportEvent,
};
use mio::net::UdpSocket;

use crate::packet::{key_frame_requests, receiver_feedback};
use crate::reception::Reception;
use crate::track::{Clock, OutgoingTrack};

const DATAGRAM_BYTES: usize = 2_048;
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Seconds between 1900 and 1970.
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// A peer connection.
pub struct Connection {
    pub socket: UdpSocket,
    pub transport: Transport,
    pub reception: Reception,
    /// Why it is over.
    pub failure: Option<String>,
    local: SocketAddr,
    is_remote_known: bool,
    /// Candidates that came before the description.
    early_candidates: Vec<String>,
    own_ssrc: u32,
    buffers: BufferPool,
    transport_sequence: u16,
    next_report_at: Instant,
}

impl Connection {
    /// A connection on a socket of its own. `is_offerer` says which ICE role is ours.
    pub fn new(
        certificate: &Arc<Certificate>,
        is_offerer: bool,
        own_ssrc: u32,
        now: Instant,
    ) -> io::Result<Connection> {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let local = socket.local_addr()?;
        let mut config = TransportConfig::new(Arc::clone(certificate));
        config.controlling = is_offerer;
        let mut transport = Transport::new(config, now);
        transport.add_local_host_candidate(Protocol::Udp, local, local);
        Ok(Connection {
            socket,
            transport,
            reception: Reception::default(),
            failure: None,
            local,
            is_remote_known: false,
            early_candidates: Vec::new(),
            own_ssrc,
            buffers: BufferPool::default(),
            transport_sequence: 1,
            next_report_at: now,
        })
    }

    /// What the server's description says; only the first counts.
    pub fn set_remote<'a>(
        &mut self,
        parameters: RemoteParameters,
        candidates: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> io::Result<()> {
        if !self.is_remote_known {
            self.is_remote_known = true;
            self.transport
                .set_remote(parameters, now)
                .map_err(io::Error::other)?;
            for line in std::mem::take(&mut self.early_candidates) {
                self.add_candidate(&line);
            }
        }
        candidates.for_each(|line| self.add_candidate(line));
        Ok(())
    }

    /// A candidate of the server's.
    pub fn add_candidate(&mut self, line: &str) {
        if self.is_remote_known {
            // Those that can't be used (TCP) are ignored, as by any client.
            let _ = self.transport.add_remote_candidate(line);
        } else {
            self.early_candidates.push(line.to_owned());
        }
    }

    /// Reads the socket until it is empty.
    pub fn receive(&mut self, epoch: Instant, tracks: &mut [OutgoingTrack]) -> io::Result<()> {
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            let (length, source) = match self.socket.recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A server that is gone; the transport finds out.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let now = Instant::now();
            let received = Received {
                protocol: Protocol::Udp,
                source,
                destination: self.local,
                contents: &buffer[..length],
            };
            self.transport.handle_datagram(now, received, &mut self.buffers);
            self.take_events(now.saturating_duration_since(epoch), tracks);
        }
        self.flush()
    }

    fn take_events(&mut self, now: Duration, tracks: &mut [OutgoingTrack]) {
        while let Some(event) = self.transport.poll_event() {
            match event {
                TransportEvent::Rtp(packet) => {
                    self.reception.packet(now, &packet);
                    self.buffers.give_back(packet);
                }
                TransportEvent::Rtcp(compound) => {
                    for ssrc in key_frame_requests(&compound) {
                        tracks.iter_mut().for_each(|track| track.request_key_frame(ssrc));
                    }
                }
                TransportEvent::Failed(reason) => self.failure = Some(reason),
                _ => {}
            }
        }
    }

    /// Lets time pass for the transport.
    pub fn handle_time(&mut self, now: Instant) -> io::Result<()> {
        if self
            .transport
            .poll_timeout()
            .is_some_and(|deadline| deadline <= now)
        {
            self.transport.handle_timeout(now);
            self.take_events(Duration::ZERO, &mut []);
        }
        if self.transport.is_connected() && self.next_report_at <= now {
            let blocks = self.reception.blocks();
            if !blocks.is_empty() {
                self.next_report_at = now + REPORT_INTERVAL;
                for packet in receiver_feedback(self.own_ssrc, &blocks) {
                    self.transport.send_rtcp(packet).map_err(io::Error::other)?;
                }
            }
        }
        self.flush()
    }

    /// Sends what is due of these tracks.
    pub fn publish(&mut self, clock: &Clock, tracks: &mut [OutgoingTrack]) -> io::Result<()> {
        let is_report_due = self.next_report_at <= clock.now;
        for track in tracks {
            track.send_due(clock, &mut self.transport, &mut self.transport_sequence);
            for report in is_report_due
                .then(|| track.reports(ntp_now()))
                .into_iter()
                .flatten()
            {
                self.transport.send_rtcp(report).map_err(io::Error::other)?;
            }
        }
        if is_report_due {
            self.next_report_at = clock.now + REPORT_INTERVAL;
        }
        self.flush()
    }

    /// Sends what waits. A full socket loses the packet, as a network does.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.transport.poll_transmit() {
            match self.socket.send_to(&transmit.contents, transmit.destination) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn ntp_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ((since.as_secs() + NTP_OFFSET_S) << 32) | ((u64::from(since.subsec_nanos()) << 32) / 1_000_000_000)
}
