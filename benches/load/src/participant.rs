//! One simulated participant: its signal connection, its two peer connections, and what it publishes and watches.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_transport::Certificate;
use mio::{Interest, Registry, Token};

use crate::connection::Connection;
use crate::description;
use crate::messages::{
    AddTrack, Join, Leave, ParticipantInfo, Ping, Quality, Request, Response, SessionDescription,
    SimulcastCodec, Target, TrackKind, TrackSettings, TrackSource, VideoLayer,
};
use crate::signal::Signal;
use crate::token::join_token;
use crate::track::{Clock, Content, Layer, OutgoingTrack};

const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Sockets of a participant: the signal connection's, the publisher's and the subscriber's.
pub const SOCKETS: usize = 3;

/// What a participant is to receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub streams: u64,
    /// Without key frames.
    pub packets_per_s: u64,
}

/// What one participant is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    pub identity: String,
    pub auto_subscribe: bool,
    pub publishes: Vec<Content>,
    /// By identity: the videos that are visible, and how large. None: whatever is subscribed to.
    pub tiles: Option<HashMap<String, Layer>>,
    /// What must arrive: streams, and packets in a second.
    pub expects: Expected,
}

/// Where the server is and how to be let in.
pub struct Access {
    pub server: SocketAddr,
    pub key: String,
    pub secret: String,
    pub room: String,
}

/// A participant that is joining or has joined.
pub struct Participant {
    pub plan: Plan,
    signal: Signal,
    certificate: Arc<Certificate>,
    publisher: Connection,
    subscriber: Connection,
    tracks: Vec<OutgoingTrack>,
    published: usize,
    configured: HashSet<String>,
    next_ping_at: Instant,
}

impl Participant {
    /// Starts joining; its sockets get the tokens from `index * SOCKETS` on.
    pub fn start(
        access: &Access,
        plan: Plan,
        certificate: &Arc<Certificate>,
        registry: &Registry,
        index: usize,
    ) -> io::Result<Participant> {
        let now = Instant::now();
        let token = join_token(&access.key, &access.secret, &access.room, &plan.identity);
        let auto_subscribe = u8::from(plan.auto_subscribe);
        let query = format!(
            "access_token={token}&protocol=15&sdk=js&version=2.0.0&auto_subscribe={auto_subscribe}&adaptive_stream=0"
        );
        let first = index * SOCKETS;
        let signal = Signal::connect(access.server, &query, |stream| {
            registry.register(stream, Token(first), Interest::READABLE | Interest::WRITABLE)
        })?;
        let ssrc = index as u32 + 1;
        let mut publisher = Connection::new(certificate, true, ssrc, now)?;
        let mut subscriber = Connection::new(certificate, false, ssrc, now)?;
        registry.register(&mut publisher.socket, Token(first + 1), Interest::READABLE)?;
        registry.register(&mut subscriber.socket, Token(first + 2), Interest::READABLE)?;
        let tracks = plan.publishes.iter().enumerate().map(|(mid, content)| {
            let cid = format!("{}-{mid}", plan.identity);
            OutgoingTrack::new(cid, content.clone(), mid, (index * 4 + mid) as u32, now)
        });
        Ok(Participant {
            tracks: tracks.collect(),
            plan,
            signal,
            certificate: Arc::clone(certificate),
            publisher,
            subscriber,
            published: 0,
            configured: HashSet::new(),
            next_ping_at: now + PING_INTERVAL,
        })
    }

    /// Whether media can flow, both ways if it publishes.
    pub fn is_joined(&self) -> bool {
        let publishes = self.tracks.is_empty() || self.publisher.transport.is_connected();
        publishes && self.subscriber.transport.is_connected()
    }

    /// The connection that it receives on.
    pub fn subscriber(&mut self) -> &mut Connection {
        &mut self.subscriber
    }

    /// Packets that it has sent.
    pub fn packets_sent(&self) -> u64 {
        self.tracks.iter().map(OutgoingTrack::packets).sum()
    }

    /// One of its sockets has something.
    pub fn handle_ready(&mut self, socket: usize, epoch: Instant) -> io::Result<()> {
        match socket {
            0 => {
                for response in self.signal.receive()? {
                    self.handle_response(response)?;
                }
                Ok(())
            }
            1 => self.publisher.receive(epoch, &mut self.tracks),
            _ => self.subscriber.receive(epoch, &mut []),
        }
    }

    /// Timers of the connections, pings.
    pub fn handle_time(&mut self, now: Instant) -> io::Result<()> {
        if self.next_ping_at <= now {
            self.next_ping_at = now + PING_INTERVAL;
            let ping = Ping { timestamp: 1, rtt: 0 };
            self.signal.send(Request::Ping(ping))?;
        }
        for connection in [&mut self.publisher, &mut self.subscriber] {
            connection.handle_time(now)?;
            if let Some(reason) = connection.failure.take() {
                return Err(io::Error::other(reason));
            }
        }
        Ok(())
    }

    /// Sends the media that is due, once connected.
    pub fn publish(&mut self, clock: &Clock) -> io::Result<()> {
        if self.tracks.is_empty() {
            return Ok(());
        }
        if self.publisher.transport.is_connected() {
            self.publisher.publish(clock, &mut self.tracks)
        } else {
            self.tracks.iter_mut().for_each(|track| track.start(clock.now));
            Ok(())
        }
    }

    /// Says that it leaves.
    pub fn leave(&mut self) -> io::Result<()> {
        let leave = Leave { reason: 1, action: 0 };
        self.signal.send(Request::Leave(leave))
    }

    fn handle_response(&mut self, response: Response) -> io::Result<()> {
        let now = Instant::now();
        match response {
            Response::Join(join) => self.handle_join(join),
            Response::Update(update) => self.choose_tiles(&update.participants),
            Response::TrackPublished(_) => self.handle_track_published(),
            Response::Answer(answer) => {
                let remote = description::remote(&answer.sdp)
                    .ok_or_else(|| io::Error::other(format!("no usable answer: {}", answer.sdp)))?;
                self.publisher
                    .set_remote(remote, description::candidates(&answer.sdp), now)?;
                self.publisher.flush()
            }
            Response::Offer(offer) => self.handle_offer(&offer, now),
            Response::Trickle(trickle) => {
                let connection = match trickle.target() {
                    Target::Publisher => &mut self.publisher,
                    Target::Subscriber => &mut self.subscriber,
                };
                if let Some(line) = description::trickled(&trickle.candidate_init) {
                    connection.add_candidate(line);
                }
                connection.flush()
            }
            Response::Leave(leave) => Err(io::Error::other(format!(
                "the server ended the session, reason {}",
                leave.reason
            ))),
        }
    }

    fn handle_join(&mut self, join: Join) -> io::Result<()> {
        for track in &self.tracks {
            self.signal.send(Request::AddTrack(announcement(track)))?;
        }
        self.choose_tiles(&join.other_participants)
    }

    fn handle_track_published(&mut self) -> io::Result<()> {
        self.published += 1;
        if self.published < self.tracks.len() {
            return Ok(());
        }
        let fingerprint = self.certificate.fingerprint();
        let sdp = description::offer(&self.publisher.transport, fingerprint, &self.tracks);
        self.signal.send(Request::Offer(SessionDescription {
            kind: "offer".into(),
            sdp,
            id: 1,
        }))
    }

    fn handle_offer(&mut self, offer: &SessionDescription, now: Instant) -> io::Result<()> {
        let remote = description::remote(&offer.sdp)
            .ok_or_else(|| io::Error::other(format!("no usable offer: {}", offer.sdp)))?;
        self.subscriber
            .set_remote(remote, description::candidates(&offer.sdp), now)?;
        let fingerprint = self.certificate.fingerprint();
        let sdp = description::answer(&offer.sdp, &self.subscriber.transport, fingerprint);
        self.signal.send(Request::Answer(SessionDescription {
            kind: "answer".into(),
            sdp,
            id: offer.id,
        }))?;
        self.subscriber.flush()
    }

    /// Tells the server, once for each video track, whether and how large it is visible: what adaptive streams do.
    fn choose_tiles(&mut self, participants: &[ParticipantInfo]) -> io::Result<()> {
        let Some(tiles) = &self.plan.tiles else {
            return Ok(());
        };
        for participant in participants {
            let tile = tiles.get(&participant.identity);
            for track in &participant.tracks {
                let is_other = participant.identity != self.plan.identity;
                if track.kind() == TrackKind::Video && is_other && self.configured.insert(track.sid.clone()) {
                    self.signal
                        .send(Request::TrackSetting(setting(&track.sid, tile)))?;
                }
            }
        }
        Ok(())
    }
}

fn setting(sid: &str, tile: Option<&Layer>) -> TrackSettings {
    let layer = tile.copied().unwrap_or(Layer::Low);
    let (width, height) = layer.size();
    TrackSettings {
        track_sids: vec![sid.to_owned()],
        disabled: tile.is_none(),
        quality: quality(layer) as i32,
        width: width.into(),
        height: height.into(),
    }
}

fn quality(layer: Layer) -> Quality {
    [Quality::Low, Quality::Medium, Quality::High][layer as usize]
}

fn announcement(track: &OutgoingTrack) -> AddTrack {
    let layers: Vec<VideoLayer> = match track.content() {
        Content::Audio { .. } => Vec::new(),
        Content::Video(layer) => vec![announced_layer(*layer, Quality::High, "")],
        Content::Simulcast(_) => Layer::ALL
            .iter()
            .map(|layer| announced_layer(*layer, quality(*layer), layer.rid()))
            .collect(),
    };
    let is_video = track.is_video();
    let (width, height) = if is_video { Layer::High.size() } else { (0, 0) };
    let codec = is_video.then(|| SimulcastCodec {
        codec: "vp8".into(),
        cid: track.cid().to_owned(),
        layers: layers.clone(),
    });
    AddTrack {
        cid: track.cid().to_owned(),
        name: track.cid().to_owned(),
        kind: if is_video {
            TrackKind::Video
        } else {
            TrackKind::Audio
        } as i32,
        source: if is_video {
            TrackSource::Camera
        } else {
            TrackSource::Microphone
        } as i32,
        width: width.into(),
        height: height.into(),
        muted: *track.content() == Content::Audio { is_on: false },
        layers,
        simulcast_codecs: codec.into_iter().collect(),
        disable_red: true,
    }
}

fn announced_layer(layer: Layer, quality: Quality, rid: &str) -> VideoLayer {
    let (width, height) = layer.size();
    VideoLayer {
        quality: quality as i32,
        width: width.into(),
        height: height.into(),
        bitrate: layer.bitrate_bps(),
        rid: rid.to_owned(),
    }
}
