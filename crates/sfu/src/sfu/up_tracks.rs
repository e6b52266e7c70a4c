//! What a caller does to an up track.

use std::time::Instant;

use super::Sfu;
use crate::connection::StreamBinding;
use crate::error::{Result, SfuError};
use crate::handles::Handle;
use crate::parameters::{HeaderExtension, Kind, PayloadType, ReceiveLayer};
use crate::statistics::UpTrackStatistics;
use crate::up_track::UpTrack;

/// What a publisher's m-line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpTrackParameters {
    /// The publisher's transport.
    pub transport: Handle,
    /// The m-line.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// As negotiated.
    pub payload_types: Vec<PayloadType>,
    /// As negotiated.
    pub header_extensions: Vec<HeaderExtension>,
    /// Layers whose SSRC is declared, lowest first.
    pub layers: Vec<ReceiveLayer>,
    /// Layers that are bound by the mid and rid extensions, lowest first.
    pub rids: Vec<String>,
}

impl Sfu {
    /// Opens an up track, or updates it when its handle exists.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn set_up_track(&mut self, handle: Handle, parameters: &UpTrackParameters) -> Result<()> {
        let connection = self
            .connections
            .get_mut(&parameters.transport)
            .ok_or(SfuError::Unknown {
                what: "transport",
                handle: parameters.transport,
            })?;
        connection.extensions.merge(&parameters.header_extensions);
        let track = self.up_tracks.entry(handle).or_insert_with(|| {
            connection.up_tracks.push(handle);
            UpTrack::new(handle, parameters.transport, parameters)
        });
        for (ssrc, layer, is_rtx) in track.update(parameters) {
            connection.streams.insert(
                u64::from(ssrc),
                StreamBinding {
                    up_track: handle,
                    layer,
                    is_rtx,
                },
            );
        }
        let layers = track.layers.len();
        connection
            .streams
            .retain(|_, binding| binding.up_track != handle || usize::from(binding.layer) < layers);
        for down_track in &track.down_tracks {
            if let Some(down_track) = self.down_tracks.get_mut(down_track) {
                down_track.set_upstream(&track.payload_types);
            }
        }
        Ok(())
    }

    /// Closes an up track and its down tracks. Does nothing for an unknown one.
    pub fn close_up_track(&mut self, handle: Handle) {
        let Some(track) = self.up_tracks.remove(&handle) else {
            return;
        };
        for down_track in track.down_tracks {
            self.close_down_track(down_track);
        }
        if let Some(connection) = self.connections.get_mut(&track.transport) {
            connection.up_tracks.retain(|other| *other != handle);
            connection.streams.retain(|_, binding| binding.up_track != handle);
        }
    }

    /// The publisher muted or unmuted. Does nothing for an unknown track.
    pub fn set_up_track_muted(&mut self, handle: Handle, muted: bool, now: Instant) {
        let Some(track) = self.up_tracks.get_mut(&handle) else {
            return;
        };
        if track.muted == muted {
            return;
        }
        track.set_muted(muted);
        for down_handle in track.down_tracks.clone() {
            if let Some(down_track) = self.down_tracks.get_mut(&down_handle) {
                down_track.set_publisher_muted(muted, now);
            }
            self.touch_down_track(down_handle, now);
        }
    }

    /// The publisher was told to send the layers up to this one. Does nothing for an unknown track.
    pub fn expect_up_track_layers(&mut self, handle: Handle, max_spatial: u8) {
        if let Some(track) = self.up_tracks.get_mut(&handle) {
            track.expect_layers(max_spatial);
        }
    }

    /// (linear level, is speaking) of an up track.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn audio_level(&self, handle: Handle, now: Instant) -> Result<(f64, bool)> {
        let track = self.up_tracks.get(&handle).ok_or(SfuError::Unknown {
            what: "up track",
            handle,
        })?;
        Ok(track.audio_level(now))
    }

    /// A snapshot of an up track.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn up_track_statistics(&self, handle: Handle) -> Result<UpTrackStatistics> {
        let track = self.up_tracks.get(&handle).ok_or(SfuError::Unknown {
            what: "up track",
            handle,
        })?;
        Ok(track.statistics())
    }
}
