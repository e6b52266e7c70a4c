//! Frames of data tracks that wait for room in one subscriber's channel.
//!
//! A frame that is partly sent is sent to its end; of those that wait, the newest of each track stays. So a subscriber
//! that is behind gets whole frames, as many as it takes, and none that is older than need be.

use std::collections::VecDeque;

use greenroom_datatrack::{MAX_PACKETS_PER_FRAME, is_final, is_start};

/// Bytes that wait for one subscriber, all tracks together; frames that begin beyond it are dropped.
const MAX_WAITING_BYTES: usize = 16 << 20;

#[derive(Debug)]
struct Frame {
    /// Of the track, as the subscriber knows it.
    handle: u16,
    waiting: VecDeque<Vec<u8>>,
    /// Packets that came so far.
    count: usize,
    /// Some were sent.
    is_begun: bool,
    /// No more will come.
    is_ended: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FrameQueue {
    frames: VecDeque<Frame>,
    bytes: usize,
    dropped: u64,
}

impl FrameQueue {
    /// Takes a packet of a track, in the order they come. What can't become a whole frame is dropped.
    pub(crate) fn push(&mut self, handle: u16, packet: Vec<u8>) {
        if is_start(&packet) {
            self.begin(handle);
        }
        let frames = self.frames.iter_mut().rev();
        let Some(frame) = frames
            .filter(|frame| frame.handle == handle)
            .find(|frame| !frame.is_ended && frame.count < MAX_PACKETS_PER_FRAME)
        else {
            self.dropped += 1;
            return;
        };
        frame.is_ended = is_final(&packet);
        frame.count += 1;
        self.bytes += packet.len();
        frame.waiting.push_back(packet);
    }

    /// A new frame displaces one of its track of which nothing was sent.
    fn begin(&mut self, handle: u16) {
        let (mut dropped, mut freed) = (0, 0);
        self.frames.retain_mut(|frame| {
            let is_same = frame.handle == handle;
            frame.is_ended |= is_same;
            let is_displaced = is_same && !frame.is_begun;
            if is_displaced {
                dropped += frame.waiting.len() as u64;
                freed += frame.waiting.iter().map(Vec::len).sum::<usize>();
            }
            !is_displaced
        });
        self.dropped += dropped;
        self.bytes -= freed;
        if self.bytes <= MAX_WAITING_BYTES {
            self.frames.push_back(Frame {
                handle,
                waiting: VecDeque::new(),
                count: 0,
                is_begun: false,
                is_ended: false,
            });
        }
    }

    /// The next packet to send: of the frame that came first and has one.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        self.frames
            .retain(|frame| !frame.waiting.is_empty() || !frame.is_ended);
        let frame = self.frames.iter_mut().find(|frame| !frame.waiting.is_empty())?;
        frame.is_begun = true;
        let packet = frame.waiting.pop_front()?;
        self.bytes -= packet.len();
        Some(packet)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The track is not subscribed any more.
    pub(crate) fn forget(&mut self, handle: u16) {
        self.frames.retain(|frame| frame.handle != handle);
        self.bytes = self
            .frames
            .iter()
            .flat_map(|frame| &frame.waiting)
            .map(Vec::len)
            .sum();
    }

    /// How many packets were dropped since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use greenroom_datatrack::{Extensions, Packetizer};

    use super::*;

    fn packets(track: &mut Packetizer, number: u8, count: usize) -> Vec<Vec<u8>> {
        let payload = vec![number; 15_000 * count];
        track
            .packetize(&payload, Extensions::default(), 0)
            .expect("a frame")
    }

    /// The last byte of each packet that is there to be sent: its frame's number.
    fn take(queue: &mut FrameQueue, most: usize) -> Vec<u8> {
        (0..most)
            .map_while(|_| queue.next())
            .filter_map(|packet| packet.last().copied())
            .collect()
    }

    #[test]
    fn what_is_begun_goes_on_and_of_the_rest_the_newest_stays() {
        let (mut queue, mut track) = (FrameQueue::default(), Packetizer::new(1));
        for packet in packets(&mut track, 1, 3) {
            queue.push(1, packet);
        }
        assert_eq!(take(&mut queue, 1), [1]);
        for number in 2..=4 {
            for packet in packets(&mut track, number, 2) {
                queue.push(1, packet);
            }
        }
        assert_eq!(queue.take_dropped(), 4);
        assert_eq!(take(&mut queue, 9), [1, 1, 4, 4]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_frame_is_passed_on_while_it_still_arrives() {
        let (mut queue, mut track) = (FrameQueue::default(), Packetizer::new(1));
        for packet in packets(&mut track, 1, 3) {
            queue.push(1, packet);
            assert_eq!(take(&mut queue, 9), [1]);
        }
    }

    #[test]
    fn tracks_do_not_displace_each_other() {
        let mut queue = FrameQueue::default();
        let mut tracks = [Packetizer::new(1), Packetizer::new(2)];
        for (number, track) in (1..).zip(&mut tracks) {
            for packet in packets(track, number, 2) {
                queue.push(u16::from(number), packet);
            }
        }
        queue.forget(1);
        assert_eq!(take(&mut queue, 9), [2, 2]);
        assert_eq!(queue.take_dropped(), 0);
    }

    #[test]
    fn the_rest_of_a_frame_whose_start_was_missed_is_dropped() {
        let (mut queue, mut track) = (FrameQueue::default(), Packetizer::new(1));
        for packet in packets(&mut track, 1, 3).into_iter().skip(1) {
            queue.push(1, packet);
        }
        assert_eq!((queue.take_dropped(), queue.next()), (2, None));
    }

    #[test]
    fn a_frame_without_end_and_frames_of_many_tracks_are_bounded() {
        let mut queue = FrameQueue::default();
        let mut track = Packetizer::new(1);
        let endless = packets(&mut track, 1, 3);
        queue.push(1, endless[0].clone());
        for _ in 0..1000 {
            queue.push(1, endless[1].clone());
        }
        assert_eq!(queue.take_dropped(), 1001 - MAX_PACKETS_PER_FRAME as u64);
        for handle in 2..100 {
            for packet in packets(&mut track, 1, 60) {
                queue.push(handle, packet);
            }
        }
        assert!(queue.bytes <= MAX_WAITING_BYTES + 1_000_000);
        assert!(queue.take_dropped() > 0);
    }
}
