//! Two peers on a simulated network: virtual time, seeded loss, delay and reordering. Jobs run inline.
#![allow(dead_code)]

use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use greenroom_media::video::I420Frame;
use greenroom_peer::{
    AudioSink, HeaderExtension, JobRunner, PayloadType, Peer, PeerConfig, PeerEvent, RemoteParameters,
    Transmit, VideoSink, certificate_fingerprint,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub struct Inline;

impl JobRunner for Inline {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
}

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    pub delay: Duration,
    /// Added at random, so datagrams overtake each other.
    pub jitter: Duration,
    pub loss: f64,
    /// A bottleneck each way, with a queue of 300 ms; what does not fit is lost.
    pub rate_bps: Option<u64>,
}

const BOTTLENECK_QUEUE: Duration = Duration::from_millis(300);

impl Default for Link {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0.0,
            rate_bps: None,
        }
    }
}

struct Flight {
    at: Instant,
    order: u64,
    to: usize,
    transmit: Transmit,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Flight {}
impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

pub struct Pair {
    pub peers: [Peer; 2],
    pub events: [Vec<PeerEvent>; 2],
    pub link: Link,
    /// Whether there is a way from the first address to the second.
    pub is_routed: fn(SocketAddr, SocketAddr) -> bool,
    pub start: Instant,
    pub now: Instant,
    /// Datagrams sent by each.
    pub sent: [u64; 2],
    /// How often each was called for a deadline.
    pub woken: [u64; 2],
    free_at: [Instant; 2],
    random: StdRng,
    flights: BinaryHeap<Flight>,
    order: u64,
}

pub const LEFT: usize = 0;
pub const RIGHT: usize = 1;

fn payload(
    payload_type: u8,
    codec: &str,
    clock_rate_hz: u32,
    channels: Option<u8>,
    fmtp: &str,
    rtx: Option<u8>,
) -> PayloadType {
    PayloadType {
        payload_type,
        codec: codec.into(),
        clock_rate_hz,
        channels,
        format_parameters: fmtp.into(),
        rtx_payload_type: rtx,
        feedback: vec![],
    }
}

/// As livekit-server and its clients agree on it.
pub fn config(controlling: bool) -> PeerConfig {
    let extension = |id, uri: &str| HeaderExtension { id, uri: uri.into() };
    let mid = extension(4, "urn:ietf:params:rtp-hdrext:sdes:mid");
    PeerConfig {
        controlling,
        repeatable: false,
        payload_types: vec![
            payload(111, "opus", 48_000, Some(2), "minptime=10;useinbandfec=1", None),
            payload(63, "red", 48_000, Some(2), "111/111", None),
            payload(96, "vp8", 90_000, None, "", Some(97)),
            payload(
                108,
                "h264",
                90_000,
                None,
                "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
                Some(109),
            ),
        ],
        header_extensions_audio: vec![
            extension(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
            mid.clone(),
        ],
        header_extensions_video: vec![
            mid,
            extension(
                3,
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            ),
            extension(10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
            extension(11, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
            extension(
                12,
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
            ),
        ],
    }
}

pub fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + side as u8], 5000 + side as u16))
}

/// One in another network of the same machine.
pub fn other_address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1 + side as u8], 5000 + side as u16))
}

pub fn new_peer(config: &PeerConfig, now: Instant) -> Peer {
    Peer::new(config, Arc::new(Inline), Arc::new(|| {}), now).unwrap()
}

impl Pair {
    /// Not connected yet.
    pub fn new(seed: u64) -> Self {
        Self::with_configs(seed, [config(true), config(false)])
    }

    pub fn with_configs(seed: u64, configs: [PeerConfig; 2]) -> Self {
        let start = Instant::now();
        Self {
            peers: configs.map(|config| new_peer(&config, start)),
            events: [vec![], vec![]],
            link: Link::default(),
            is_routed: |_, _| true,
            start,
            now: start,
            sent: [0, 0],
            woken: [0, 0],
            free_at: [start; 2],
            random: StdRng::seed_from_u64(seed),
            flights: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Exchange everything and run until both are connected.
    pub fn connected(seed: u64) -> Self {
        let mut pair = Self::new(seed);
        pair.exchange_candidates();
        pair.exchange_descriptions();
        pair.run_until("both connected", |pair| {
            pair.both(|event| *event == PeerEvent::Connected)
        });
        pair
    }

    pub fn remote_parameters(&mut self, of: usize) -> RemoteParameters {
        let (ice_ufrag, ice_pwd) = self.peers[of].local_credentials();
        RemoteParameters {
            ice_ufrag,
            ice_pwd,
            fingerprint: certificate_fingerprint().into(),
            dtls_active: of == LEFT,
            ice_lite: false,
            max_message_size: 65_535,
        }
    }

    pub fn exchange_candidates(&mut self) {
        for side in [LEFT, RIGHT] {
            self.offer_address(side, address(side));
        }
    }

    /// One side has this address and tells the other.
    pub fn offer_address(&mut self, side: usize, address: SocketAddr) {
        let line = self.peers[side]
            .add_local_address(address, self.now)
            .unwrap()
            .unwrap();
        self.peers[1 - side]
            .add_remote_candidate(&line, self.now)
            .unwrap();
    }

    pub fn exchange_descriptions(&mut self) {
        let now = self.now;
        for side in [LEFT, RIGHT] {
            let remote = self.remote_parameters(1 - side);
            self.peers[side].set_remote(&remote, now).unwrap();
        }
        self.collect();
    }

    pub fn both(&self, matches: impl Fn(&PeerEvent) -> bool) -> bool {
        self.events.iter().all(|events| events.iter().any(&matches))
    }

    pub fn saw(&self, side: usize, matches: impl Fn(&PeerEvent) -> bool) -> bool {
        self.events[side].iter().any(matches)
    }

    /// Take what the peers have to send and to say.
    pub fn collect(&mut self) {
        for side in [LEFT, RIGHT] {
            while let Some(transmit) = self.peers[side].poll_transmit() {
                self.sent[side] += 1;
                if self.random.random_bool(self.link.loss) {
                    continue;
                }
                let jitter = self.link.jitter.mul_f64(self.random.random_range(0.0..1.0));
                self.order += 1;
                let mut at = self.now + self.link.delay + jitter;
                if let Some(rate_bps) = self.link.rate_bps {
                    let free = self.free_at[side].max(self.now);
                    if free - self.now > BOTTLENECK_QUEUE {
                        continue;
                    }
                    let bits = (transmit.contents.len() as f64 + 28.0) * 8.0;
                    self.free_at[side] = free + Duration::from_secs_f64(bits / rate_bps as f64);
                    at = self.free_at[side] + self.link.delay + jitter;
                }
                self.flights.push(Flight {
                    at,
                    order: self.order,
                    to: 1 - side,
                    transmit,
                });
            }
            while let Some(event) = self.peers[side].poll_event() {
                self.events[side].push(event);
            }
        }
    }

    /// Run for a span of virtual time.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.collect();
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.step(at);
        }
        self.now = end;
    }

    /// Run until something holds; 20 s at most.
    pub fn run_until(&mut self, what: &str, holds: impl Fn(&Pair) -> bool) {
        let end = self.now + Duration::from_secs(20);
        self.collect();
        while !holds(self) {
            let at = self.next_at().filter(|at| *at <= end);
            let Some(at) = at else {
                panic!("never: {what}; events {}", self.describe_events())
            };
            self.step(at);
        }
    }

    fn describe_events(&self) -> String {
        let all = self
            .events
            .iter()
            .flatten()
            .filter(|event| !matches!(event, PeerEvent::ChannelMessage(..)));
        format!("{:?}", all.take(30).collect::<Vec<_>>())
    }

    fn next_at(&self) -> Option<Instant> {
        let timeouts = self.peers.iter().filter_map(Peer::poll_timeout);
        timeouts
            .chain(self.flights.peek().map(|flight| flight.at))
            .min()
            .map(|at| at.max(self.now))
    }

    fn step(&mut self, at: Instant) {
        self.now = at;
        if self.flights.peek().is_some_and(|flight| flight.at <= at) {
            let flight = self.flights.pop().unwrap();
            let Transmit {
                source,
                destination,
                contents,
                ..
            } = flight.transmit;
            let is_there = [address(flight.to), other_address(flight.to)].contains(&destination);
            if is_there && (self.is_routed)(source, destination) {
                self.peers[flight.to].handle_datagram(at, source, destination, &contents);
            }
        } else {
            for (peer, woken) in self.peers.iter_mut().zip(&mut self.woken) {
                if peer.poll_timeout().is_some_and(|due| due <= at) {
                    *woken += 1;
                    peer.handle_timeout(at);
                }
            }
        }
        self.collect();
    }
}

/// Keeps all PCM.
pub struct AudioTrap {
    pub channels: usize,
    pub pcm: Mutex<Vec<i16>>,
    pub ended: Mutex<bool>,
}

impl AudioTrap {
    pub fn new(channels: usize) -> Arc<Self> {
        Arc::new(Self {
            channels,
            pcm: Mutex::default(),
            ended: Mutex::default(),
        })
    }
}

impl AudioSink for AudioTrap {
    fn channels(&self) -> usize {
        self.channels
    }
    fn push_block(&self, pcm: &[i16], channels: usize) {
        assert_eq!(pcm.len(), 480 * channels);
        assert!(!*self.ended.lock().unwrap());
        self.pcm.lock().unwrap().extend(pcm);
    }
    fn end(&self) {
        *self.ended.lock().unwrap() = true;
    }
}

/// Keeps all pictures.
#[derive(Default)]
pub struct VideoTrap {
    pub frames: Mutex<Vec<(I420Frame, i64)>>,
    pub ended: Mutex<bool>,
}

impl VideoSink for VideoTrap {
    fn push_frame(&self, frame: &I420Frame, timestamp_us: i64) {
        self.frames.lock().unwrap().push((frame.clone(), timestamp_us));
    }
    fn end(&self) {
        *self.ended.lock().unwrap() = true;
    }
}

/// A sine of this frequency; `from` counts samples per channel since its start.
pub fn tone(
    frequency_hz: f64,
    amplitude: f64,
    rate_hz: u32,
    channels: usize,
    from: usize,
    samples: usize,
) -> Vec<i16> {
    let value = |index: usize| {
        (amplitude
            * 32767.0
            * (std::f64::consts::TAU * frequency_hz * index as f64 / f64::from(rate_hz)).sin()) as i16
    };
    (from..from + samples)
        .flat_map(|index| std::iter::repeat_n(value(index), channels))
        .collect()
}

/// Amplitude (0..1) of one frequency in mono PCM.
pub fn amplitude_at(pcm: &[i16], frequency_hz: f64, rate_hz: u32) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (index, sample) in pcm.iter().enumerate() {
        let phase = std::f64::consts::TAU * frequency_hz * index as f64 / f64::from(rate_hz);
        real += f64::from(*sample) * phase.cos();
        imaginary += f64::from(*sample) * phase.sin();
    }
    2.0 * (real * real + imaginary * imaginary).sqrt() / pcm.len() as f64 / 32767.0
}

/// A picture with a bright left and a dark right half; where they meet moves with `step`.
pub fn picture(width: u32, height: u32, step: u32) -> I420Frame {
    let border = width / 4 + (step * 2) % (width / 2);
    let mut data = Vec::new();
    for _ in 0..height {
        data.extend((0..width).map(|x| if x < border { 200u8 } else { 50 }));
    }
    let chroma = (width.div_ceil(2) * height.div_ceil(2)) as usize;
    data.extend(std::iter::repeat_n(90u8, chroma));
    data.extend(std::iter::repeat_n(160u8, chroma));
    I420Frame::from_vec(data, width, height).unwrap()
}

/// Where the border of such a picture is.
pub fn border_of(frame: &I420Frame) -> u32 {
    let middle = (frame.height() / 2) as usize * frame.width() as usize;
    let row = &frame.y()[middle..middle + frame.width() as usize];
    row.iter().filter(|luma| **luma > 125).count() as u32
}
