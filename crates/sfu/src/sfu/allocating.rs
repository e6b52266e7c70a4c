//! A subscriber's bandwidth, shared among its video tracks whenever what they need or what there is may have changed.

use std::time::{Duration, Instant};

use super::{Sfu, SfuEvent};
use crate::allocation::{Allotment, Demand, share};
use crate::down_track::DownTrack;
use crate::error::{Result, SfuError};
use crate::handles::Handle;
use crate::layer_rates::Layer;

/// While bandwidth is limited, it is shared anew this often: what layers take changes by itself.
const INTERVAL: Duration = Duration::from_millis(500);

/// How a transport deals with scarce bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandwidthPolicy {
    /// Follow the estimate; otherwise everything is sent, whatever the subscriber can receive.
    pub congestion_control: bool,
    /// Pause tracks when not even their lowest layers fit; otherwise those are sent all the same.
    pub allow_pause: bool,
}

impl Default for BandwidthPolicy {
    fn default() -> BandwidthPolicy {
        BandwidthPolicy {
            congestion_control: true,
            allow_pause: false,
        }
    }
}

impl Sfu {
    /// How a transport deals with scarce bandwidth, from now on.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn set_bandwidth_policy(
        &mut self,
        handle: Handle,
        policy: BandwidthPolicy,
        now: Instant,
    ) -> Result<()> {
        self.connection(handle)?.bandwidth.policy = policy;
        self.reallocate(handle, now);
        Ok(())
    }

    /// What the transport's video may take, in place of an estimate; None: as estimated. For simulations and tests.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn set_bandwidth_limit(
        &mut self,
        handle: Handle,
        limit_bps: Option<u64>,
        now: Instant,
    ) -> Result<()> {
        self.connection(handle)?.bandwidth.limit_bps = limit_bps;
        self.reallocate(handle, now);
        Ok(())
    }

    /// Which of a subscriber's tracks are served first: those with higher numbers. A track of priority 255 that has
    /// one layer only is never paused.
    ///
    /// # Errors
    /// When the track is gone.
    pub fn set_priority(&mut self, handle: Handle, priority: u8, now: Instant) -> Result<()> {
        let track = self.down_tracks.get_mut(&handle).ok_or(SfuError::Unknown {
            what: "down track",
            handle,
        })?;
        track.set_priority(priority);
        let transport = track.transport;
        self.reallocate(transport, now);
        Ok(())
    }

    /// Something changed that the shares depend on.
    pub(super) fn reallocate(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        if connection.bandwidth.is_unlimited() {
            return;
        }
        connection.bandwidth.share_at = Some(now);
        connection.lower_deadline(Some(now));
        self.mark_dirty(handle);
    }

    /// Shares the bandwidth of one transport, when that is due.
    pub(super) fn share_bandwidth(&mut self, handle: Handle, down_tracks: &[Handle], now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        let Some(due) = connection.bandwidth.share_at else {
            return;
        };
        if due > now {
            connection.lower_deadline(Some(due));
            return;
        }
        let capacity = connection.bandwidth.capacity_bps();
        let allow_pause = connection.bandwidth.policy.allow_pause;
        connection.bandwidth.share_at = capacity.map(|_| now + INTERVAL);
        connection.lower_deadline(connection.bandwidth.share_at);
        let (handles, demands) = self.demands(down_tracks, now);
        let shares = share(&demands, capacity, allow_pause);
        if let Some(connection) = self.connections.get_mut(&handle) {
            connection.bandwidth.shared(&shares, capacity, now);
            connection.lower_deadline(connection.bandwidth.probe_deadline());
        }
        let idle = down_tracks.iter().filter(|track| !handles.contains(track));
        let nothing_held = idle.map(|track| (*track, Allotment::UpTo(Layer::BEST)));
        let shared = handles.iter().copied().zip(shares.allotments);
        for (down_handle, allotment) in nothing_held.chain(shared) {
            let Some(track) = self.down_tracks.get_mut(&down_handle) else {
                continue;
            };
            let was_paused = track.is_paused();
            if !track.allot(allotment, now) {
                continue;
            }
            if track.is_paused() != was_paused {
                let paused = track.is_paused();
                self.events
                    .push_back(SfuEvent::DownTrackPaused(down_handle, paused));
            }
            self.ask_for_down_track(down_handle, now);
        }
    }

    /// Sends the padding that a probe for more bandwidth asks for.
    pub(super) fn send_padding(&mut self, handle: Handle, now: Instant) {
        let Some(connection) = self.connections.get_mut(&handle) else {
            return;
        };
        if let Some(due) = connection.bandwidth.probe_deadline().filter(|due| *due > now) {
            return connection.lower_deadline(Some(due));
        }
        let down_tracks = &self.down_tracks;
        let padded = connection
            .down_tracks
            .iter()
            .find(|handle| down_tracks.get(handle).is_some_and(DownTrack::can_pad))
            .copied();
        let sent_bytes = connection.egress.video_bytes;
        let mut left = connection
            .bandwidth
            .padding_bytes(now, sent_bytes, padded.is_some());
        if let Some(track) = padded.and_then(|handle| self.down_tracks.get_mut(&handle)) {
            while left > 0 && track.write_padding(now, &mut connection.egress, &mut self.scratch) {
                left = left.saturating_sub(self.scratch.len());
                let packet = self.buffers.exchange(&mut self.scratch);
                if connection.transport.send_rtp(packet).is_err() {
                    self.statistics.send_errors += 1;
                }
            }
        }
        connection.lower_deadline(connection.bandwidth.probe_deadline());
    }

    fn demands(&self, down_tracks: &[Handle], now: Instant) -> (Vec<Handle>, Vec<Demand>) {
        let demand = |handle: &Handle| {
            let track = self.down_tracks.get(handle)?;
            let up_track = self.up_tracks.get(&track.up_track)?;
            Some((*handle, track.demand(up_track, now)?))
        };
        down_tracks.iter().filter_map(demand).unzip()
    }

    /// The layers of an up track, or whether it is muted, changed.
    pub(super) fn reallocate_subscribers(&mut self, up_track: Handle, now: Instant) {
        let Some(track) = self.up_tracks.get(&up_track) else {
            return;
        };
        let transports: Vec<Handle> = track
            .down_tracks
            .iter()
            .filter_map(|down_track| Some(self.down_tracks.get(down_track)?.transport))
            .collect();
        for transport in transports {
            self.reallocate(transport, now);
        }
    }
}
