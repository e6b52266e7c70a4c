//! A whole unit and its clients on a simulated network in virtual time.
#![allow(dead_code)]

pub mod work;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use greenroom_sfu::rtcp::{self, Feedback};
use greenroom_sfu::rtp_header::{ExtensionList, RtpHeader, RtpView};
use greenroom_sfu::sfu::random_ice_credentials;
use greenroom_sfu::twcc::FeedbackGenerator;
use greenroom_sfu::{
    DownTrackParameters, Handle, HeaderExtension, Kind, LocalCandidate, PayloadType, PlayoutDelayLimits,
    ReceiveLayer, Sfu, SfuEvent, TransportParameters, UpTrackParameters,
};
use greenroom_transport::{
    BufferPool, Certificate, Protocol, Received, RemoteParameters, Transmit, Transport, TransportConfig,
    TransportEvent,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub const LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub const PLAYOUT_DELAY_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
pub const TWCC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub const SEND_TIME_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";

const DELAY: Duration = Duration::from_millis(5);

pub fn certificate() -> Arc<Certificate> {
    static SHARED: OnceLock<Arc<Certificate>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(|| Certificate::generate().expect("certificate")))
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn opus() -> PayloadType {
    payload(111, "opus", 48_000, None, &[])
}

pub fn vp8(rtx: bool) -> PayloadType {
    payload(
        96,
        "vp8",
        90_000,
        rtx.then_some(97),
        &["nack", "nack pli", "ccm fir"],
    )
}

pub fn payload(
    payload_type: u8,
    codec: &str,
    clock_rate_hz: u32,
    rtx: Option<u8>,
    feedback: &[&str],
) -> PayloadType {
    PayloadType {
        payload_type,
        codec: codec.into(),
        clock_rate_hz,
        format_parameters: String::new(),
        rtx_payload_type: rtx,
        feedback: feedback.iter().map(|value| (*value).to_owned()).collect(),
    }
}

pub fn extension(id: u8, uri: &str) -> HeaderExtension {
    HeaderExtension { id, uri: uri.into() }
}

/// One packet as a client got it.
#[derive(Debug, Clone)]
pub struct Got {
    pub at: Instant,
    pub header: RtpHeader,
    pub payload: Vec<u8>,
    pub extensions: BTreeMap<u8, Vec<u8>>,
}

/// A client: a transport, what it sent and what it got.
pub struct Client {
    pub handle: Handle,
    pub transport: Transport,
    address: SocketAddr,
    pub got: Vec<Got>,
    /// What it was told, NACKs and transport-wide feedback left out.
    pub feedback: Vec<(Instant, Feedback<'static>)>,
    /// The bodies of transport-wide feedback.
    pub arrivals_told: Vec<Vec<u8>>,
    /// Of its data channels.
    pub messages: Vec<Vec<u8>>,
    /// What was published, for answering NACKs: (ssrc, sequence) to packet.
    sent: BTreeMap<(u32, u16), Vec<u8>>,
    /// Answers NACKs of the unit with the same packet on the same SSRC.
    pub resends: bool,
    /// Asks for what is missing: media SSRC.
    pub nacks_for: Option<u32>,
    asked: BTreeSet<u16>,
    /// Loss in both directions, 0..=1.
    pub loss: f64,
    /// What its link to it takes, in bits per second, and how long the queue before it may get.
    pub bottleneck: Option<(u64, Duration)>,
    /// When that queue is empty.
    free_at: Instant,
    /// Packets that the queue had no room for.
    pub overflowed: usize,
    /// Reports transport-wide numbers (extension 5).
    pub reports_arrivals: bool,
    /// The transport-wide number of its next packet (extension 3); None: its packets have none.
    pub next_number: Option<u16>,
    arrivals: FeedbackGenerator,
}

enum Destination {
    Unit,
    Client(usize),
}

struct InFlight {
    source: SocketAddr,
    destination: SocketAddr,
    to: Destination,
    contents: Vec<u8>,
}

/// Everything.
pub struct World {
    pub now: Instant,
    pub start: Instant,
    pub sfu: Sfu,
    pub clients: Vec<Client>,
    pub events: Vec<SfuEvent>,
    pub frame_trailer: Vec<u8>,
    /// Asked for with extension 6 of new subscriptions.
    pub playout_delay: Option<PlayoutDelayLimits>,
    in_flight: BinaryHeap<Reverse<(Instant, u64)>>,
    packets: BTreeMap<u64, InFlight>,
    counter: u64,
    random: StdRng,
    unit_address: SocketAddr,
    next_handle: Handle,
}

impl World {
    pub fn new(seed: u64) -> World {
        let now = Instant::now();
        let unit_address = "10.0.0.1:7000".parse().expect("address");
        let candidate = LocalCandidate {
            protocol: Protocol::Udp,
            address: unit_address,
            advertised: unit_address,
        };
        World {
            now,
            start: now,
            sfu: Sfu::new(certificate(), vec![candidate]),
            clients: Vec::new(),
            events: Vec::new(),
            frame_trailer: Vec::new(),
            playout_delay: None,
            in_flight: BinaryHeap::new(),
            packets: BTreeMap::new(),
            counter: 0,
            random: StdRng::seed_from_u64(seed),
            unit_address,
            next_handle: 1,
        }
    }

    pub fn handle(&mut self) -> Handle {
        self.next_handle += 1;
        self.next_handle
    }

    /// A connected client; its index.
    pub fn join(&mut self) -> usize {
        let handle = self.handle();
        let index = self.clients.len();
        let address: SocketAddr = format!("10.0.1.{}:6000", index + 1).parse().expect("address");
        let credentials = random_ice_credentials();
        self.sfu.create_transport(
            handle,
            TransportParameters {
                controlling: false,
                ice_credentials: credentials.clone(),
            },
            self.now,
        );
        let mut config = TransportConfig::new(certificate());
        config.controlling = true;
        let mut transport = Transport::new(config, self.now);
        transport.add_local_host_candidate(Protocol::Udp, address, address);
        let ours = transport.local_credentials().clone();
        let fingerprint = certificate().fingerprint().to_owned();
        let remote = |ice_ufrag: String, ice_pwd: String, dtls_active| RemoteParameters {
            ice_ufrag,
            ice_pwd,
            fingerprint: fingerprint.clone(),
            dtls_active,
            ice_lite: false,
            max_message_size: 65_536,
        };
        self.sfu
            .set_remote(handle, remote(ours.ufrag, ours.pwd, false), self.now)
            .expect("remote");
        transport
            .set_remote(remote(credentials.ufrag, credentials.pwd, true), self.now)
            .expect("remote");
        let line = format!(
            "candidate:1 1 udp 2130706431 {} {} typ host",
            self.unit_address.ip(),
            self.unit_address.port()
        );
        transport.add_remote_candidate(&line).expect("candidate");
        self.clients.push(Client {
            handle,
            transport,
            address,
            got: Vec::new(),
            feedback: Vec::new(),
            arrivals_told: Vec::new(),
            messages: Vec::new(),
            sent: BTreeMap::new(),
            resends: true,
            nacks_for: None,
            asked: BTreeSet::new(),
            loss: 0.0,
            bottleneck: None,
            free_at: self.now,
            overflowed: 0,
            reports_arrivals: true,
            next_number: None,
            arrivals: FeedbackGenerator::new(self.now),
        });
        let deadline = self.now + ms(5_000);
        while !self.clients[index].transport.is_connected() && self.now < deadline {
            self.run(ms(10));
        }
        self.run(ms(50));
        assert!(
            self.clients[index].transport.is_connected(),
            "client {index} did not connect"
        );
        index
    }

    /// Time passes by this much.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.exchange();
        loop {
            let arrival = self.in_flight.peek().map(|Reverse((at, _))| *at);
            let unit = self.sfu.poll_timeout();
            let clients = self.clients.iter().filter_map(Client::deadline).min();
            let next = [arrival, unit, clients].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.deliver_due();
            if self.sfu.poll_timeout().is_some_and(|due| due <= self.now) {
                work::unit(|| self.sfu.handle_timeout(self.now), |()| false);
            }
            for client in &mut self.clients {
                if client.transport.poll_timeout().is_some_and(|due| due <= self.now) {
                    client.transport.handle_timeout(self.now);
                }
                client.report_arrivals(self.now);
            }
            self.exchange();
        }
        self.now = end;
    }

    fn deliver_due(&mut self) {
        while let Some(Reverse((at, number))) = self
            .in_flight
            .peek()
            .copied()
            .filter(|Reverse((at, _))| *at <= self.now)
        {
            self.in_flight.pop();
            let Some(packet) = self.packets.remove(&number) else {
                continue;
            };
            let received = Received {
                protocol: Protocol::Udp,
                source: packet.source,
                destination: packet.destination,
                contents: &packet.contents,
            };
            match packet.to {
                Destination::Unit => work::unit(
                    || self.sfu.handle_datagram(at, received),
                    |()| work::is_stun(received.contents),
                ),
                Destination::Client(index) => {
                    self.clients[index]
                        .transport
                        .handle_datagram(at, received, &mut BufferPool::default());
                }
            }
        }
    }

    fn send(&mut self, transmit: Transmit, to: Destination, loss: f64) {
        self.send_later(transmit, to, loss, Duration::ZERO);
    }

    fn send_later(&mut self, transmit: Transmit, to: Destination, loss: f64, wait: Duration) {
        if loss > 0.0 && self.random.random_bool(loss) {
            return;
        }
        self.counter += 1;
        self.in_flight
            .push(Reverse((self.now + wait + DELAY, self.counter)));
        let packet = InFlight {
            source: transmit.source,
            destination: transmit.destination,
            to,
            contents: transmit.contents,
        };
        self.packets.insert(self.counter, packet);
    }

    /// Moves what was sent onto the wire, and lets clients react.
    pub fn exchange(&mut self) {
        while let Some(event) = self.sfu.poll_event() {
            self.events.push(event);
        }
        while let Some(transmit) = self.next_transmit() {
            let found = self
                .clients
                .iter()
                .position(|client| client.address == transmit.destination);
            if let Some(index) = found {
                let loss = self.clients[index].loss;
                if let Some(wait) = self.clients[index].queue(self.now, transmit.contents.len()) {
                    self.send_later(transmit.clone(), Destination::Client(index), loss, wait);
                }
            }
            work::unit(|| self.sfu.give_back(transmit.contents), |()| false);
        }
        for index in 0..self.clients.len() {
            let now = self.now;
            self.clients[index].react(now);
            while let Some(transmit) = self.clients[index].transport.poll_transmit() {
                let loss = self.clients[index].loss;
                self.send(transmit, Destination::Unit, loss);
            }
        }
    }

    fn next_transmit(&mut self) -> Option<Transmit> {
        let is_ice = |next: &Option<Transmit>| {
            next.as_ref()
                .is_some_and(|transmit| work::is_stun(&transmit.contents))
        };
        work::unit(|| self.sfu.poll_transmit(), is_ice)
    }

    /// Publishes on client `index`.
    pub fn publish(
        &mut self,
        index: usize,
        mid: &str,
        kind: Kind,
        payload_types: Vec<PayloadType>,
        ssrcs: &[u32],
        rids: &[&str],
    ) -> Handle {
        let handle = self.handle();
        let parameters = UpTrackParameters {
            transport: self.clients[index].handle,
            mid: mid.into(),
            kind,
            payload_types,
            header_extensions: vec![
                extension(1, LEVEL_URI),
                extension(3, TWCC_URI),
                extension(4, MID_URI),
                extension(10, RID_URI),
            ],
            layers: ssrcs
                .iter()
                .map(|ssrc| ReceiveLayer {
                    ssrc: *ssrc,
                    rtx_ssrc: None,
                    rid: None,
                })
                .collect(),
            rids: rids.iter().map(|rid| (*rid).to_owned()).collect(),
        };
        self.sfu.set_up_track(handle, &parameters).expect("published");
        handle
    }

    /// Subscribes client `index`.
    pub fn subscribe(
        &mut self,
        index: usize,
        up_track: Handle,
        ssrc: u32,
        payload_types: Vec<PayloadType>,
    ) -> Handle {
        let handle = self.handle();
        let rtx = payload_types
            .iter()
            .any(|payload| payload.rtx_payload_type.is_some());
        let mut header_extensions = vec![extension(3, SEND_TIME_URI)];
        if payload_types
            .iter()
            .any(|payload| payload.clock_rate_hz == 90_000)
        {
            header_extensions.push(extension(5, TWCC_URI));
        }
        if self.playout_delay.is_some() {
            header_extensions.push(extension(6, PLAYOUT_DELAY_URI));
        }
        let parameters = DownTrackParameters {
            transport: self.clients[index].handle,
            mid: "0".into(),
            up_track,
            ssrc,
            rtx_ssrc: rtx.then_some(ssrc + 1),
            payload_types,
            header_extensions,
            frame_trailer: self.frame_trailer.clone(),
            playout_delay: self.playout_delay,
        };
        self.sfu
            .add_down_track(handle, &parameters, self.now)
            .expect("subscribed");
        handle
    }

    /// Counts key frame requests that client `index` got for an SSRC.
    pub fn key_frame_requests(&self, index: usize, ssrc: u32) -> usize {
        let wanted = Feedback::KeyFrame { ssrc };
        self.clients[index]
            .feedback
            .iter()
            .filter(|(_, feedback)| *feedback == wanted)
            .count()
    }
}

impl Client {
    pub fn send_rtp(&mut self, header: RtpHeader, extensions: &[(u8, &[u8])], payload: &[u8]) {
        let mut list = ExtensionList::default();
        extensions.iter().for_each(|(id, value)| list.push(*id, value));
        let number = self.next_number.unwrap_or_default().to_be_bytes();
        if let Some(next) = &mut self.next_number {
            list.push(3, &number);
            *next = next.wrapping_add(1);
        }
        let mut packet = Vec::new();
        header.write(&list, &mut packet);
        packet.extend_from_slice(payload);
        self.transport.send_rtp(packet.clone()).expect("sent");
        self.sent.insert((header.ssrc, header.sequence_number), packet);
    }

    pub fn send_sender_report(&mut self, ssrc: u32, ntp_time: u64, rtp_time: u32) {
        let mut compound = Vec::new();
        rtcp::write_sender_report(&mut compound, ssrc, ntp_time, rtp_time, 0, 0, "publisher");
        self.transport.send_rtcp(compound).expect("sent");
    }

    fn deadline(&self) -> Option<Instant> {
        let report = self.arrivals.deadline().filter(|_| self.reports_arrivals);
        [self.transport.poll_timeout(), report]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long a packet waits in the queue before its link; None when there is no room.
    fn queue(&mut self, now: Instant, size_bytes: usize) -> Option<Duration> {
        let Some((capacity_bps, limit)) = self.bottleneck else {
            return Some(Duration::ZERO);
        };
        if self.free_at > now + limit {
            self.overflowed += 1;
            return None;
        }
        let takes = Duration::from_secs_f64(size_bytes as f64 * 8.0 / capacity_bps as f64);
        self.free_at = self.free_at.max(now) + takes;
        Some(self.free_at - now)
    }

    fn report_arrivals(&mut self, now: Instant) {
        let (transport, reports) = (&mut self.transport, self.reports_arrivals);
        self.arrivals.collect(now, |body| {
            let mut compound = Vec::new();
            rtcp::write_transport_wide(&mut compound, 1, 2, body);
            if reports {
                transport.send_rtcp(compound).expect("sent");
            }
        });
    }

    /// Packets got on an SSRC.
    pub fn on(&self, ssrc: u32) -> Vec<&Got> {
        self.got.iter().filter(|got| got.header.ssrc == ssrc).collect()
    }

    /// Key frame requests, or NACKs, of this client.
    pub fn send_rtcp(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut compound = Vec::new();
        write(&mut compound);
        self.transport.send_rtcp(compound).expect("sent");
    }

    fn react(&mut self, now: Instant) {
        while let Some(event) = self.transport.poll_event() {
            match event {
                TransportEvent::Rtp(packet) => self.take(now, &packet),
                TransportEvent::Rtcp(compound) => {
                    let is_clean = rtcp::parse(&compound, |feedback| self.hear(now, feedback));
                    assert!(is_clean, "the unit sends clean RTCP");
                }
                TransportEvent::ChannelMessage { data, .. } => self.messages.push(data),
                _ => {}
            }
        }
    }

    fn take(&mut self, now: Instant, packet: &[u8]) {
        let view = RtpView::parse(packet).expect("the unit sends clean RTP");
        if let Some(number) = view.extension(5).and_then(|value| value.try_into().ok()) {
            self.arrivals.record(now, u16::from_be_bytes(number), view.marker);
        }
        let extensions = (1..=14)
            .filter_map(|id| Some((id, view.extension(id)?.to_vec())))
            .collect();
        let header = RtpHeader {
            marker: view.marker,
            payload_type: view.payload_type,
            sequence_number: view.sequence_number,
            timestamp: view.timestamp,
            ssrc: view.ssrc,
        };
        self.got.push(Got {
            at: now,
            header,
            payload: view.payload.to_vec(),
            extensions,
        });
    }

    fn hear(&mut self, now: Instant, feedback: Feedback<'_>) {
        let lasting = match feedback {
            Feedback::Nack { ssrc, lost } => return self.answer(ssrc, lost.numbers()),
            Feedback::TransportWide { body } => return self.arrivals_told.push(body.to_vec()),
            Feedback::SenderReport {
                ssrc,
                ntp_time,
                rtp_time,
            } => Feedback::SenderReport {
                ssrc,
                ntp_time,
                rtp_time,
            },
            Feedback::Report(block) => Feedback::Report(block),
            Feedback::KeyFrame { ssrc } => Feedback::KeyFrame { ssrc },
            Feedback::Remb { bitrate_bps } => Feedback::Remb { bitrate_bps },
            Feedback::Goodbye { ssrc } => Feedback::Goodbye { ssrc },
        };
        self.feedback.push((now, lasting));
    }

    fn answer(&mut self, ssrc: u32, lost: impl Iterator<Item = u16>) {
        for number in lost.filter(|_| self.resends) {
            if let Some(packet) = self.sent.get(&(ssrc, number)) {
                self.transport.send_rtp(packet.clone()).expect("sent");
            }
        }
    }

    /// The media of an SSRC by sequence number, retransmissions on `ssrc + 1` unwrapped.
    pub fn assembled(&self, ssrc: u32) -> BTreeMap<u16, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        for got in &self.got {
            if got.header.ssrc == ssrc {
                found.insert(
                    got.header.sequence_number,
                    (got.header.timestamp, got.payload.clone()),
                );
            } else if got.header.ssrc == ssrc + 1 && !got.payload.is_empty() {
                let number = u16::from_be_bytes([got.payload[0], got.payload[1]]);
                found
                    .entry(number)
                    .or_insert((got.header.timestamp, got.payload[2..].to_vec()));
            }
        }
        found
    }

    /// Asks for the holes in what was got on an SSRC.
    pub fn nack_holes(&mut self, ssrc: u32) {
        let found = self.assembled(ssrc);
        let (Some((first, _)), Some((last, _))) = (found.first_key_value(), found.last_key_value()) else {
            return;
        };
        let missing: Vec<u16> = (*first..*last)
            .filter(|number| !found.contains_key(number))
            .collect();
        if !missing.is_empty() {
            self.send_rtcp(|out| rtcp::write_nack(out, 1, ssrc, &missing));
        }
    }
}

/// A VP8 publisher of one layer: frames of `packets` packets with 15-bit picture ids.
pub struct Vp8Source {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub picture: u16,
    pub tl0: u8,
    pub key_next: bool,
    pub rid: Option<&'static str>,
    pub frames: u32,
    /// Bytes that follow what a packet says.
    pub filler: usize,
    /// Alternating frames of temporal layer 1.
    pub temporal: bool,
}

impl Vp8Source {
    pub fn new(ssrc: u32, rid: Option<&'static str>) -> Vp8Source {
        let salt = ssrc.wrapping_mul(2_654_435_761);
        Vp8Source {
            ssrc,
            sequence: salt as u16,
            timestamp: salt,
            picture: (salt >> 8) as u16 & 0x7FFF,
            tl0: salt as u8,
            key_next: true,
            rid,
            frames: 0,
            filler: 0,
            temporal: false,
        }
    }

    /// Sends one frame; each packet's payload ends in (ssrc, frame number, packet).
    pub fn frame(&mut self, client: &mut Client, packets: u8, step: u32) {
        for packet in 0..packets {
            let mut payload = vec![if packet == 0 { 0x90 } else { 0x80 }, 0xE0];
            payload.extend_from_slice(&(self.picture | 0x8000).to_be_bytes());
            let upper = self.temporal && !self.key_next && self.frames % 2 == 1;
            payload.extend_from_slice(&[self.tl0, if upper { 0x60 } else { 0x00 }]);
            payload.push(u8::from(!self.key_next));
            payload.extend_from_slice(&self.ssrc.to_be_bytes());
            payload.extend_from_slice(&self.frames.to_be_bytes());
            payload.push(packet);
            payload.resize(payload.len() + self.filler, 0);
            let header = RtpHeader {
                marker: packet + 1 == packets,
                payload_type: 96,
                sequence_number: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
            };
            let mut extensions: Vec<(u8, &[u8])> = Vec::new();
            if let Some(rid) = self.rid {
                extensions.push((4, b"v"));
                extensions.push((10, rid.as_bytes()));
            }
            client.send_rtp(header, &extensions, &payload);
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.key_next = false;
        self.frames += 1;
        self.timestamp = self.timestamp.wrapping_add(step);
        self.picture = (self.picture + 1) & 0x7FFF;
        self.tl0 = self.tl0.wrapping_add(1);
    }
}

/// What a forwarded [`Vp8Source`] packet says: (picture id, tl0, source ssrc, frame, packet, is key frame).
pub fn read_vp8(payload: &[u8]) -> (u16, u8, u32, u32, u8, bool) {
    let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("long enough"));
    let picture = u16::from_be_bytes([payload[2], payload[3]]) & 0x7FFF;
    (
        picture,
        payload[4],
        word(7),
        word(11),
        payload[15],
        payload[6] & 1 == 0,
    )
}
