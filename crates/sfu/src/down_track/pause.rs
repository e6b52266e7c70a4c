//! Pauses: the subscriber does not want media or the publisher is muted. Audio ends with some silence.

use std::time::{Duration, Instant};

use super::DownTrack;
use crate::egress::Egress;
use crate::parameters::Kind;
use crate::rtp_header::RtpHeader;
use crate::silence;
use crate::timestamp_munger::Change;

impl DownTrack {
    /// The subscriber does or does not want media now.
    pub fn set_enabled(&mut self, enabled: bool, now: Instant) {
        if self.enabled != enabled {
            self.enabled = enabled;
            self.pause_changed(!enabled, Change::AfterPause, now);
        }
    }

    /// The publisher muted or unmuted.
    pub fn set_publisher_muted(&mut self, muted: bool, now: Instant) {
        self.pause_changed(muted, Change::AfterMute, now);
    }

    pub(super) fn pause_changed(&mut self, paused: bool, change: Change, now: Instant) {
        self.asked_at = None;
        if !paused {
            self.silence_left = 0;
            self.next_silence_at = None;
            return;
        }
        if self.source.take().is_some() {
            self.selector.stop();
            self.change = change;
            if self.kind == Kind::Audio {
                self.silence_left = silence::FRAMES_AFTER_MUTE;
                self.next_silence_at = Some(now + Duration::from_millis(u64::from(silence::FRAME_MS)));
            }
        }
    }

    /// The next frame of silence, when one is due: `out` holds the packet to send.
    pub fn write_silence(&mut self, now: Instant, egress: &mut Egress, out: &mut Vec<u8>) -> bool {
        if self.next_silence_at.is_none_or(|at| at > now) {
            return false;
        }
        let Some(route) = self.route else {
            return false;
        };
        let step = route.clock_rate_hz / 1_000 * silence::FRAME_MS;
        let (Some(number), Some(timestamp)) = (self.sequence.inject(), self.timestamps.inject(step, now))
        else {
            self.next_silence_at = None;
            return false;
        };
        let header = RtpHeader {
            marker: false,
            payload_type: route.payload_type,
            sequence_number: number as u16,
            timestamp,
            ssrc: self.ssrc,
        };
        out.clear();
        self.write_header(now, header, None, egress, out);
        let before = out.len();
        let written = silence::write_frame(route.codec, route.red_primary, out);
        out.extend_from_slice(&self.frame_trailer);
        self.silence_left = if written {
            self.silence_left.saturating_sub(1)
        } else {
            0
        };
        let next = self
            .next_silence_at
            .map(|at| (at + Duration::from_millis(u64::from(silence::FRAME_MS))).max(now));
        self.next_silence_at = next.filter(|_| self.silence_left > 0);
        if written {
            self.count(now, out.len() - before);
        }
        written
    }
}
