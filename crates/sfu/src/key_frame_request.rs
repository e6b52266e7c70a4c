//! When to ask the publisher for a key frame, per layer.

use std::time::{Duration, Instant};

/// Give up after this long without a key frame; packets of the layer or subscribers ask again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
const LOWEST_LAYER_INTERVAL: Duration = Duration::from_millis(500);
const OTHER_LAYER_INTERVAL: Duration = Duration::from_secs(1);

/// The requests for one layer: throttled, and repeated until a key frame comes.
#[derive(Debug)]
pub struct KeyFrameRequest {
    interval: Duration,
    last_sent_at: Option<Instant>,
    wanted_since: Option<Instant>,
}

impl KeyFrameRequest {
    /// Layer 0 may be asked every 500 ms, others every second.
    pub fn new(spatial_layer: usize) -> KeyFrameRequest {
        let interval = if spatial_layer == 0 {
            LOWEST_LAYER_INTERVAL
        } else {
            OTHER_LAYER_INTERVAL
        };
        KeyFrameRequest {
            interval,
            last_sent_at: None,
            wanted_since: None,
        }
    }

    /// Somebody needs a key frame.
    pub fn request(&mut self, now: Instant) {
        self.wanted_since.get_or_insert(now);
    }

    /// A key frame came: earlier requests are answered.
    pub fn key_frame_received(&mut self) {
        self.wanted_since = None;
    }

    /// True when a request is to be sent now.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.wanted_since.is_some_and(|since| now > since + GIVE_UP_AFTER) {
            self.wanted_since = None;
        }
        let due = self.deadline().is_some_and(|deadline| deadline <= now);
        if due {
            self.last_sent_at = Some(now);
        }
        due
    }

    /// When `poll` is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.wanted_since?;
        Some(
            self.last_sent_at
                .map_or(since, |last| (last + self.interval).max(since)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_throttled_and_repeated() {
        for (layer, interval_ms) in [(0usize, 500u64), (1, 1_000), (2, 1_000)] {
            let start = Instant::now();
            let at = |ms: u64| start + Duration::from_millis(ms);
            let mut request = KeyFrameRequest::new(layer);
            assert!(!request.poll(start));
            request.request(start);
            assert!(request.poll(start));
            for ms in (10..interval_ms).step_by(10) {
                request.request(at(ms));
                assert!(!request.poll(at(ms)), "layer {layer} after {ms} ms");
            }
            assert!(request.poll(at(interval_ms)), "no key frame came");
            request.key_frame_received();
            assert_eq!(request.deadline(), None);
            request.request(at(interval_ms + 5));
            assert_eq!(request.deadline(), Some(at(2 * interval_ms)));
        }
    }

    #[test]
    fn it_gives_up() {
        let start = Instant::now();
        let mut request = KeyFrameRequest::new(0);
        request.request(start);
        let mut sent = 0;
        while let Some(deadline) = request.deadline() {
            sent += u32::from(request.poll(deadline));
        }
        assert_eq!(sent, 61);
    }
}
