//! What one publisher sends on one m-line.

use std::time::Instant;

use crate::audio_level::AudioLevel;
use crate::handles::Handle;
use crate::key_frame;
use crate::layer_rates::LayerRates;
use crate::layer_selector::MAX_LAYERS;
use crate::parameters::{Codec, ExtensionIds, Kind, PayloadType, ReceiveLayer};
use crate::rtp_header::RtpView;
use crate::sender_report::SenderClock;
use crate::sfu::UpTrackParameters;
use crate::statistics::{LayerStatistics, UpTrackStatistics};
use crate::up_layer::{Accepted, UpLayer};
use crate::vp8_descriptor::Vp8Descriptor;

/// Where a packet came from: a spatial layer and the generation of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Spatial.
    pub layer: u8,
    /// See [`UpLayer::generation`].
    pub generation: u32,
}

/// A packet on its way to the down tracks, parsed once.
#[derive(Debug, Clone, Copy)]
pub struct ForwardPacket<'a> {
    /// Its layer.
    pub source: Source,
    /// Extended.
    pub sequence: u64,
    /// Whether it is ahead of all before it on its layer.
    pub newest: bool,
    /// The packet.
    pub view: RtpView<'a>,
    /// By its payload type.
    pub codec: Codec,
    /// Whether a decoder can begin here.
    pub begins_key_frame: bool,
    /// Of a VP8 packet.
    pub vp8: Option<Vp8Descriptor>,
    /// What the publisher's header extension ids mean.
    pub extensions: ExtensionIds,
}

/// What down tracks need to know about the track as a whole.
#[derive(Debug, Clone, Copy)]
pub struct TrackView {
    /// How many layers were negotiated.
    pub declared: usize,
    /// Which of them flow.
    pub present: [bool; MAX_LAYERS],
    /// Their publisher clocks.
    pub clocks: [Option<SenderClock>; MAX_LAYERS],
    /// The publisher muted.
    pub muted: bool,
}

/// One up track.
#[derive(Debug)]
pub struct UpTrack {
    /// Its name.
    pub handle: Handle,
    /// The publisher's transport.
    pub transport: Handle,
    /// The m-line.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// As negotiated.
    pub payload_types: Vec<PayloadType>,
    /// As negotiated.
    pub extensions: ExtensionIds,
    /// Lowest first, 1 to 3.
    pub layers: Vec<UpLayer>,
    /// Who is subscribed.
    pub down_tracks: Vec<Handle>,
    /// The publisher muted.
    pub muted: bool,
    /// Whether a packet has come.
    pub started: bool,
    level: AudioLevel,
    codec_name: String,
    last_payload_type: Option<u8>,
    /// What every packet asks of `payload_types`, looked up once.
    media_types: Vec<MediaType>,
}

/// A negotiated payload type, as the way of a packet needs it.
#[derive(Debug, Clone, Copy)]
struct MediaType {
    number: u8,
    codec: Codec,
    clock_rate_hz: u32,
    /// Whether to ask for lost packets.
    nack: bool,
}

impl MediaType {
    fn new(payload: &PayloadType) -> MediaType {
        let codec = payload.kind_of_codec();
        MediaType {
            number: payload.payload_type,
            codec,
            clock_rate_hz: payload.clock_rate_hz,
            nack: payload.has_nack() && codec != Codec::Red,
        }
    }
}

impl UpTrack {
    /// A track of a transport; layers as the parameters say.
    pub fn new(handle: Handle, transport: Handle, parameters: &UpTrackParameters) -> UpTrack {
        let mut track = UpTrack {
            handle,
            transport,
            mid: parameters.mid.clone(),
            kind: parameters.kind,
            payload_types: Vec::new(),
            extensions: ExtensionIds::default(),
            layers: Vec::new(),
            down_tracks: Vec::new(),
            muted: false,
            started: false,
            level: AudioLevel::default(),
            codec_name: String::new(),
            last_payload_type: None,
            media_types: Vec::new(),
        };
        track.update(parameters);
        track
    }

    /// Takes over renegotiated parameters; layers that stay keep their state. Gives the SSRCs to bind:
    /// (ssrc, layer, is RTX).
    pub fn update(&mut self, parameters: &UpTrackParameters) -> Vec<(u32, u8, bool)> {
        self.payload_types.clone_from(&parameters.payload_types);
        self.media_types = self.payload_types.iter().map(MediaType::new).collect();
        self.extensions = ExtensionIds::from_list(&parameters.header_extensions);
        let rids = &parameters.rids;
        let count = rids.len().max(parameters.layers.len()).clamp(1, MAX_LAYERS);
        self.layers.truncate(count);
        for index in self.layers.len()..count {
            self.layers.push(UpLayer::new(self.kind, index, None));
        }
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.rid = rids
                .get(index)
                .cloned()
                .or_else(|| parameters.layers.get(index)?.rid.clone());
        }
        let declared = parameters.layers.iter().take(MAX_LAYERS).enumerate();
        declared
            .flat_map(|(index, layer)| self.declare_layer(index, layer))
            .collect()
    }

    fn declare_layer(&mut self, position: usize, declared: &ReceiveLayer) -> Vec<(u32, u8, bool)> {
        let by_rid = declared.rid.as_deref().and_then(|rid| self.layer_of_rid(rid));
        let index = by_rid.unwrap_or(position as u8);
        let Some(layer) = self.layers.get_mut(usize::from(index)) else {
            return Vec::new();
        };
        layer.rebind(declared.ssrc);
        let mut bindings = vec![(declared.ssrc, index, false)];
        if let Some(rtx_ssrc) = declared.rtx_ssrc {
            layer.rtx_ssrc = Some(rtx_ssrc);
            bindings.push((rtx_ssrc, index, true));
        }
        bindings
    }

    /// The layer that has this rid.
    pub fn layer_of_rid(&self, rid: &str) -> Option<u8> {
        self.layers
            .iter()
            .position(|layer| layer.rid.as_deref() == Some(rid))
            .map(|index| index as u8)
    }

    /// The negotiated media payload type with this number.
    pub fn payload_type(&self, number: u8) -> Option<&PayloadType> {
        self.payload_types
            .iter()
            .find(|payload| payload.payload_type == number)
    }

    /// The media payload type whose retransmissions have this number.
    pub fn media_of_rtx(&self, number: u8) -> Option<u8> {
        let found = self
            .payload_types
            .iter()
            .find(|payload| payload.rtx_payload_type == Some(number));
        found.map(|payload| payload.payload_type)
    }

    fn media_type(&self, number: u8) -> Option<MediaType> {
        self.media_types
            .iter()
            .find(|media| media.number == number)
            .copied()
    }

    fn note_codec(&mut self, number: u8) {
        if self.last_payload_type != Some(number)
            && let Some(payload) = self
                .payload_types
                .iter()
                .find(|payload| payload.payload_type == number)
        {
            self.codec_name.clone_from(&payload.codec);
            self.last_payload_type = Some(number);
        }
    }

    /// Takes one media packet on a layer. None when it is not to be forwarded.
    pub fn receive(&mut self, now: Instant, layer_index: u8, packet: &[u8]) -> Option<Accepted> {
        let view = RtpView::parse(packet)?;
        let media = self.media_type(view.payload_type)?;
        self.note_codec(view.payload_type);
        let level = view
            .extension(self.extensions.audio_level)
            .and_then(|value| value.first().copied());
        let timestamp = view.timestamp;
        let dimensions = if media.codec == Codec::Vp8 {
            key_frame::vp8_dimensions(view.payload)
        } else {
            None
        };
        let layer = self.layers.get_mut(usize::from(layer_index))?;
        layer.nack_enabled = media.nack;
        let accepted = layer.receive(now, packet, media.clock_rate_hz)?;
        if let Some(dimensions) = dimensions {
            layer.dimensions = dimensions;
        }
        if let Some(level) = level {
            self.level
                .observe(now, level & 0x7F, timestamp, media.clock_rate_hz);
        }
        Some(accepted)
    }

    /// The stored packet, parsed for forwarding. None when it is gone or holds no media.
    pub fn forward_packet(&self, layer_index: u8, sequence: u64, newest: bool) -> Option<ForwardPacket<'_>> {
        let layer = self.layers.get(usize::from(layer_index))?;
        let view = RtpView::parse(&layer.history.get(sequence)?.bytes)?;
        let codec = self.media_type(view.payload_type)?.codec;
        let vp8 = if codec == Codec::Vp8 {
            Vp8Descriptor::parse(view.payload)
        } else {
            None
        };
        if codec == Codec::Vp8 && vp8.is_none() {
            return None;
        }
        Some(ForwardPacket {
            source: Source {
                layer: layer_index,
                generation: layer.generation,
            },
            sequence,
            newest,
            view,
            codec,
            begins_key_frame: self.kind == Kind::Audio || key_frame::is_key_frame_start(codec, view.payload),
            vp8,
            extensions: self.extensions,
        })
    }

    /// The state that down tracks need.
    pub fn view(&self) -> TrackView {
        let mut view = TrackView {
            declared: self.layers.len(),
            present: [false; MAX_LAYERS],
            clocks: [None; MAX_LAYERS],
            muted: self.muted,
        };
        for (index, layer) in self.layers.iter().enumerate().take(MAX_LAYERS) {
            view.present[index] = layer.tracker.is_present();
            view.clocks[index] = layer.clock;
        }
        view
    }

    /// What the layers that flow take.
    pub fn rates(&self, now: Instant) -> LayerRates {
        let mut rates = LayerRates::default();
        for (rate, layer) in rates.0.iter_mut().zip(&self.layers) {
            if layer.tracker.is_present() {
                *rate = layer.rate.rates(now);
            }
        }
        rates
    }

    /// Which layers flow, lowest first.
    pub fn presence(&self) -> Vec<bool> {
        self.layers
            .iter()
            .map(|layer| layer.tracker.is_present())
            .collect()
    }

    /// The publisher muted or unmuted. A muted publisher's silence says nothing about its layers.
    pub fn set_muted(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// The publisher was told to send the layers up to this one: those that stopped are back with their first packet.
    pub fn expect_layers(&mut self, max_spatial: u8) {
        for layer in self.layers.iter_mut().take(usize::from(max_spatial) + 1) {
            layer.tracker.expect();
        }
    }

    /// (linear loudness, is speaking).
    pub fn audio_level(&self, now: Instant) -> (f64, bool) {
        if self.muted {
            (0.0, false)
        } else {
            self.level.level(now)
        }
    }

    /// Whether full intra requests have to be used, for want of picture loss indications.
    pub fn wants_full_intra(&self) -> bool {
        let has = |value: &str| {
            self.payload_types
                .iter()
                .any(|payload| payload.feedback.iter().any(|known| known == value))
        };
        has("ccm fir") && !has("nack pli")
    }

    /// A snapshot.
    pub fn statistics(&self) -> UpTrackStatistics {
        let layers = self.layers.iter().map(|layer| LayerStatistics {
            rid: layer.rid.clone(),
            ssrc: layer.ssrc,
            packets: layer.packets,
            bytes: layer.bytes,
            packets_lost: layer
                .statistics
                .as_ref()
                .map_or(0, |statistics| statistics.lost().max(0)),
            jitter_s: layer
                .statistics
                .as_ref()
                .map_or(0.0, |statistics| statistics.jitter_s()),
            width: layer.dimensions.0,
            height: layer.dimensions.1,
        });
        UpTrackStatistics {
            codec: self.codec_name.clone(),
            layers: layers.collect(),
        }
    }
}
