//! What a caller does to a down track.

use std::time::Instant;

use super::Sfu;
use crate::down_track::DownTrack;
use crate::error::{Result, SfuError};
use crate::handles::Handle;
use crate::parameters::{HeaderExtension, PayloadType};
use crate::playout_delay::PlayoutDelayLimits;
use crate::statistics::DownTrackStatistics;

/// What a subscriber's m-line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownTrackParameters {
    /// The subscriber's transport.
    pub transport: Handle,
    /// The m-line.
    pub mid: String,
    /// What to forward.
    pub up_track: Handle,
    /// Under which SSRC.
    pub ssrc: u32,
    /// The SSRC of retransmissions.
    pub rtx_ssrc: Option<u32>,
    /// As answered.
    pub payload_types: Vec<PayloadType>,
    /// As answered.
    pub header_extensions: Vec<HeaderExtension>,
    /// Ends each frame that the server makes itself: who decrypts knows it by that. Empty for a track in the clear.
    pub frame_trailer: Vec<u8>,
    /// What the subscriber of video is asked for, where the playout-delay extension is negotiated.
    pub playout_delay: Option<PlayoutDelayLimits>,
}

impl Sfu {
    /// Opens a down track.
    ///
    /// # Errors
    /// When transport or up track are gone, or the transport sends that SSRC already.
    pub fn add_down_track(
        &mut self,
        handle: Handle,
        parameters: &DownTrackParameters,
        now: Instant,
    ) -> Result<()> {
        let up_track = self
            .up_tracks
            .get_mut(&parameters.up_track)
            .ok_or(SfuError::Unknown {
                what: "up track",
                handle: parameters.up_track,
            })?;
        let connection = self
            .connections
            .get_mut(&parameters.transport)
            .ok_or(SfuError::Unknown {
                what: "transport",
                handle: parameters.transport,
            })?;
        let ssrcs = [Some(parameters.ssrc), parameters.rtx_ssrc];
        if let Some(taken) = ssrcs
            .iter()
            .flatten()
            .find(|ssrc| connection.down_by_ssrc.contains_key(&u64::from(**ssrc)))
        {
            return Err(SfuError::Parameter {
                what: "SSRC",
                value: taken.to_string(),
                expected: "one that this transport does not send yet",
            });
        }
        let cname = format!("greenroom-{}", up_track.transport);
        let rtx_start = rand::random::<u16>() & 0x7FFF;
        let retired = connection.retired(parameters.ssrc);
        let track = DownTrack::new(
            handle,
            parameters,
            up_track.kind,
            cname,
            &up_track.payload_types,
            retired,
            rtx_start,
        );
        for ssrc in ssrcs.into_iter().flatten() {
            connection.down_by_ssrc.insert(u64::from(ssrc), handle);
        }
        connection.down_tracks.push(handle);
        up_track.down_tracks.push(handle);
        self.down_tracks.insert(handle, track);
        self.ask_for_down_track(handle, now);
        self.reallocate(parameters.transport, now);
        Ok(())
    }

    /// Closes a down track at once. Does nothing for an unknown one.
    pub fn close_down_track(&mut self, handle: Handle) {
        let Some(track) = self.down_tracks.remove(&handle) else {
            return;
        };
        if let Some(up_track) = self.up_tracks.get_mut(&track.up_track) {
            up_track.down_tracks.retain(|other| *other != handle);
        }
        if let Some(connection) = self.connections.get_mut(&track.transport) {
            connection.down_tracks.retain(|other| *other != handle);
            connection.down_by_ssrc.retain(|_, owner| *owner != handle);
            if let Some(retired) = track.retire() {
                connection.retire(track.ssrc, retired);
            }
        }
    }

    /// The subscriber does or does not want media. Does nothing for an unknown track.
    pub fn set_down_track_enabled(&mut self, handle: Handle, enabled: bool, now: Instant) {
        if let Some(track) = self.down_tracks.get_mut(&handle) {
            track.set_enabled(enabled, now);
            self.touch_down_track(handle, now);
        }
    }

    /// See [`DownTrack::set_max_layer`]. Does nothing for an unknown track.
    pub fn set_max_layer(&mut self, handle: Handle, spatial: u8, temporal: u8, now: Instant) {
        if let Some(track) = self.down_tracks.get_mut(&handle) {
            track.set_max_layer(spatial, temporal);
            self.touch_down_track(handle, now);
        }
    }

    pub(super) fn touch_down_track(&mut self, handle: Handle, now: Instant) {
        self.ask_for_down_track(handle, now);
        let Some(track) = self.down_tracks.get(&handle) else {
            return;
        };
        let (transport, deadline) = (track.transport, track.deadline());
        self.reallocate(transport, now);
        if let Some(connection) = self.connections.get_mut(&transport) {
            connection.lower_deadline(deadline);
        }
        self.mark_dirty(transport);
    }

    /// A snapshot of a down track.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn down_track_statistics(&self, handle: Handle) -> Result<DownTrackStatistics> {
        let track = self.down_tracks.get(&handle).ok_or(SfuError::Unknown {
            what: "down track",
            handle,
        })?;
        Ok(track.statistics())
    }
}
