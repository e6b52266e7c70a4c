//! Reports: the subscriber's about what it gets, ours with the publisher's clock (RFC 3550 section 6.4).

use std::time::{Duration, Instant};

use super::DownTrack;
use crate::parameters::Kind;
use crate::rtcp::{self, ReportBlock};
use crate::up_track::TrackView;

const VIDEO_REPORT_INTERVAL: Duration = Duration::from_secs(1);
const AUDIO_REPORT_INTERVAL: Duration = Duration::from_secs(3);
/// A report that could not be made (the publisher's clock is not known yet) is tried again.
const REPORT_RETRY: Duration = Duration::from_millis(200);

impl DownTrack {
    /// A report block of the subscriber about this track.
    pub fn reported(&mut self, now: Instant, block: &ReportBlock) {
        self.statistics.fraction_lost = f64::from(block.fraction_lost) / 256.0;
        if let (Some(delay), Some(route)) = (&mut self.playout_delay, self.route) {
            let jitter_s = f64::from(block.jitter) / f64::from(route.clock_rate_hz.max(1));
            let jitter = Duration::from_secs_f64(jitter_s);
            delay.reported(now, block.highest_sequence as u16, jitter);
        }
        let round_trip = self.sent_reports.round_trip(
            block.last_sender_report,
            block.delay_since_last_sender_report,
            now,
        );
        if let Some(round_trip) = round_trip {
            self.round_trip = Some(
                self.round_trip
                    .map_or(round_trip, |before| (before * 7 + round_trip) / 8),
            );
        }
    }

    /// Appends a sender report when one is due: the publisher's clock, our counts. Nothing before media.
    pub fn write_report(&mut self, now: Instant, track: &TrackView, out: &mut Vec<u8>) {
        if self.next_report_at.is_none_or(|at| at > now) {
            return;
        }
        let interval = if self.kind == Kind::Video {
            VIDEO_REPORT_INTERVAL
        } else {
            AUDIO_REPORT_INTERVAL
        };
        self.next_report_at = Some(now + interval);
        let clock = self
            .source
            .and_then(|source| track.clocks.get(usize::from(source.layer)).copied().flatten());
        let (Some(clock), Some(route)) = (clock, self.route) else {
            self.next_report_at = Some(
                now + if self.source.is_some() {
                    REPORT_RETRY
                } else {
                    interval
                },
            );
            return;
        };
        let (ntp_time, rtp_time) = clock.at(now, route.clock_rate_hz);
        let rtp_time = self.timestamps.translate(rtp_time);
        rtcp::write_sender_report(
            out,
            self.ssrc,
            ntp_time,
            rtp_time,
            self.packets as u32,
            self.octets as u32,
            &self.cname,
        );
        self.sent_reports.sent(ntp_time, now);
    }
}
