//! What a participant publishes: made-up Opus and VP8 packets at the pace and size of real ones. Nothing is encoded; every
//! packet ends with its number and the time it was sent, which no server looks at.

use std::time::{Duration, Instant};

use greenroom_transport::{RTP_OVERHEAD_BYTES, Transport};

use crate::packet::{Extension, Header, Trailer};

pub const AUDIO_PAYLOAD_TYPE: u8 = 111;
pub const VIDEO_PAYLOAD_TYPE: u8 = 96;

/// Opus at 32 kbit/s, 20 ms a packet.
const AUDIO_BYTES: usize = 80;
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
/// Of one sound.
pub const AUDIO_PACKETS_PER_S: u64 = 50;
/// What libwebrtc's packetiser fills a packet with.
const MAX_PAYLOAD_BYTES: usize = 1_150;
/// How much larger a key frame is than others.
const KEY_FRAME_FACTOR: usize = 6;

/// The header extensions that the load offers, with their ids.
#[derive(Clone, Copy)]
pub enum ExtensionId {
    AudioLevel = 1,
    TransportCc = 3,
    Mid = 4,
    Rid = 10,
}

/// One encoding of a picture, as livekit-client makes it of a 720p camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Low,
    Medium,
    High,
}

impl Layer {
    pub const ALL: [Layer; 3] = [Layer::Low, Layer::Medium, Layer::High];

    pub fn rid(self) -> &'static str {
        ["q", "h", "f"][self as usize]
    }

    pub fn size(self) -> (u16, u16) {
        [(320, 180), (640, 360), (1280, 720)][self as usize]
    }

    pub fn bitrate_bps(self) -> u32 {
        [160_000, 450_000, 1_700_000][self as usize]
    }

    fn frames_per_second(self) -> u32 {
        [20, 20, 30][self as usize]
    }

    fn frame_bytes(self) -> usize {
        (self.bitrate_bps() / 8 / self.frames_per_second()) as usize
    }

    /// Without key frames.
    pub fn packets_per_s(self) -> u64 {
        self.frame_bytes().div_ceil(MAX_PAYLOAD_BYTES) as u64 * u64::from(self.frames_per_second())
    }
}

/// What a track is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sound; a microphone that is off is published muted and sends nothing.
    Audio { is_on: bool },
    /// One picture without simulcast.
    Video(Layer),
    /// Simulcast of all layers, of which these are sent: the ones that somebody watches.
    Simulcast(Vec<Layer>),
}

struct Stream {
    ssrc: u32,
    /// None: sound.
    layer: Option<Layer>,
    interval: Duration,
    next_at: Instant,
    sequence_number: u16,
    timestamp: u32,
    /// Of the packet, in its trailer.
    number: u32,
    picture: u16,
    wants_key_frame: bool,
    packets: u32,
    bytes: u32,
}

/// A published track.
pub struct OutgoingTrack {
    cid: String,
    content: Content,
    mid: String,
    ssrc: u32,
    streams: Vec<Stream>,
}

/// What all tracks of a connection share.
pub struct Clock {
    /// Times in trailers count from here.
    pub epoch: Instant,
    pub now: Instant,
}

impl OutgoingTrack {
    /// The track of this MID. `seed` is different for every track of a run: SSRCs and phases come from it.
    pub fn new(cid: String, content: Content, mid: usize, seed: u32, now: Instant) -> OutgoingTrack {
        let first_ssrc = 10_000 + seed * 8;
        let layers: Vec<Option<Layer>> = match &content {
            Content::Audio { is_on: true } => vec![None],
            Content::Audio { is_on: false } => Vec::new(),
            Content::Video(layer) => vec![Some(*layer)],
            Content::Simulcast(layers) => layers.iter().copied().map(Some).collect(),
        };
        let streams = (0u32..).zip(layers).map(|(index, layer)| {
            let interval = layer.map_or(AUDIO_INTERVAL, |layer| {
                Duration::from_secs(1) / layer.frames_per_second()
            });
            Stream {
                ssrc: first_ssrc + index,
                layer,
                interval,
                // Spread over the interval, as independent senders are.
                next_at: now + interval.mul_f64(f64::from(seed * 37 % 100) / 100.0),
                sequence_number: 1,
                timestamp: 0,
                number: 0,
                picture: 0,
                wants_key_frame: true,
                packets: 0,
                bytes: 0,
            }
        });
        OutgoingTrack {
            cid,
            mid: mid.to_string(),
            ssrc: first_ssrc,
            streams: streams.collect(),
            content,
        }
    }

    pub fn cid(&self) -> &str {
        &self.cid
    }

    pub fn content(&self) -> &Content {
        &self.content
    }

    pub fn is_video(&self) -> bool {
        !matches!(self.content, Content::Audio { .. })
    }

    /// Of simulcast; none otherwise.
    pub fn rids(&self) -> Vec<&'static str> {
        match self.content {
            Content::Simulcast(_) => Layer::ALL.map(Layer::rid).to_vec(),
            _ => Vec::new(),
        }
    }

    /// The SSRC that a description names: that of the first stream.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets sent so far.
    pub fn packets(&self) -> u64 {
        self.streams.iter().map(|stream| u64::from(stream.packets)).sum()
    }

    /// A key frame of this SSRC was asked for.
    pub fn request_key_frame(&mut self, ssrc: u32) {
        for stream in &mut self.streams {
            stream.wants_key_frame |= stream.ssrc == ssrc;
        }
    }

    /// Starts anew: what was due before `now` is not sent.
    pub fn start(&mut self, now: Instant) {
        for stream in &mut self.streams {
            while stream.next_at < now {
                stream.next_at += stream.interval;
            }
        }
    }

    /// Sends what is due.
    pub fn send_due(&mut self, clock: &Clock, transport: &mut Transport, transport_sequence: &mut u16) {
        let rids = !self.rids().is_empty();
        for stream in &mut self.streams {
            while stream.next_at <= clock.now {
                stream.next_at += stream.interval;
                let mut path = Path {
                    clock,
                    transport,
                    transport_sequence,
                    mid: &self.mid,
                    rid: stream.layer.filter(|_| rids).map(Layer::rid),
                };
                match stream.layer {
                    None => stream.send_sound(&mut path),
                    Some(layer) => stream.send_picture(&mut path, layer),
                }
            }
        }
    }

    /// The sender reports of its streams.
    pub fn reports(&self, ntp: u64) -> Vec<Vec<u8>> {
        let reports = self.streams.iter().filter(|stream| stream.packets > 0);
        reports
            .map(|stream| {
                let mut report = vec![0x80, 200, 0, 6];
                report.extend(stream.ssrc.to_be_bytes());
                report.extend(ntp.to_be_bytes());
                report.extend(stream.timestamp.to_be_bytes());
                report.extend(stream.packets.to_be_bytes());
                report.extend(stream.bytes.to_be_bytes());
                report
            })
            .collect()
    }
}

struct Path<'a> {
    clock: &'a Clock,
    transport: &'a mut Transport,
    transport_sequence: &'a mut u16,
    mid: &'a str,
    rid: Option<&'static str>,
}

impl Stream {
    fn send_sound(&mut self, path: &mut Path<'_>) {
        self.timestamp = self.timestamp.wrapping_add(960);
        // Voice, 30 dB below full scale.
        let level = Extension {
            id: ExtensionId::AudioLevel as u8,
            value: &[0x80 | 30],
        };
        let payload = [0xFC; AUDIO_BYTES];
        self.send(path, AUDIO_PAYLOAD_TYPE, false, Some(level), &payload, &[]);
    }

    fn send_picture(&mut self, path: &mut Path<'_>, layer: Layer) {
        let is_key = std::mem::take(&mut self.wants_key_frame);
        self.timestamp = self.timestamp.wrapping_add(90_000 / layer.frames_per_second());
        self.picture = self.picture.wrapping_add(1) & 0x7FFF;
        let bytes = layer.frame_bytes() * if is_key { KEY_FRAME_FACTOR } else { 1 };
        let parts = bytes.div_ceil(MAX_PAYLOAD_BYTES);
        let filler = vec![0x55; bytes.div_ceil(parts)];
        for part in 0..parts {
            let mut head = payload_descriptor(part == 0, self.picture);
            if part == 0 {
                head.extend(frame_header(is_key, layer.size()));
            }
            let is_last = part + 1 == parts;
            self.send(path, VIDEO_PAYLOAD_TYPE, is_last, None, &filler, &head);
        }
    }

    /// One packet: `head`, then `body` with its end written over by the trailer.
    fn send(
        &mut self,
        path: &mut Path<'_>,
        payload_type: u8,
        marker: bool,
        level: Option<Extension<'_>>,
        body: &[u8],
        head: &[u8],
    ) {
        let transport_sequence = path.transport_sequence.to_be_bytes();
        let mut extensions = vec![Extension {
            id: ExtensionId::TransportCc as u8,
            value: &transport_sequence,
        }];
        extensions.extend(level);
        if let Some(rid) = path.rid {
            let names = [(ExtensionId::Mid, path.mid), (ExtensionId::Rid, rid)];
            extensions.extend(names.map(|(id, name)| Extension {
                id: id as u8,
                value: name.as_bytes(),
            }));
        }
        let header = Header {
            payload_type,
            marker,
            sequence_number: self.sequence_number,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let mut packet = Vec::with_capacity(64 + head.len() + body.len() + RTP_OVERHEAD_BYTES);
        header.write(&extensions, &mut packet);
        packet.extend_from_slice(head);
        packet.extend_from_slice(body);
        let trailer = Trailer {
            number: self.number,
            sent_at: path.clock.epoch.elapsed(),
        };
        trailer.write(&mut packet);
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.number = self.number.wrapping_add(1);
        *path.transport_sequence = path.transport_sequence.wrapping_add(1);
        self.packets += 1;
        self.bytes = self.bytes.wrapping_add((head.len() + body.len()) as u32);
        // Not connected any more: the transport counts it, and the run shows the loss.
        let _ = path.transport.send_rtp(packet);
    }
}

/// The VP8 payload descriptor (RFC 7741 section 4.2) with a picture id of 15 bits and one temporal layer.
fn payload_descriptor(is_start: bool, picture: u16) -> Vec<u8> {
    let [high, low] = picture.to_be_bytes();
    vec![0x80 | (u8::from(is_start) << 4), 0xE0, 0x80 | high, low, low, 0]
}

/// The beginning of a VP8 frame (RFC 6386 section 9.1): the tag, and the size in a key frame.
fn frame_header(is_key: bool, (width, height): (u16, u16)) -> Vec<u8> {
    let mut header = vec![0x10 | u8::from(!is_key), 0, 0];
    if is_key {
        header.extend([0x9D, 0x01, 0x2A]);
        header.extend(width.to_le_bytes());
        header.extend(height.to_le_bytes());
    }
    header
}
