//! How streams end (RFC 6525, RFC 8831 section 6.7): each side resets its direction, and when both are, the number is
//! free again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;

use super::{Association, Timer};
use crate::serial::at_or_before;
use crate::wire::Request;
use crate::{Error, Event, Result, StreamEvent, StreamId};

const SUCCESS_NOTHING_TO_DO: u32 = 0;
const SUCCESS: u32 = 1;
const DENIED: u32 = 2;
const IN_PROGRESS: u32 = 6;
/// Streams that one request names; the rest follow.
const STREAMS_PER_REQUEST: usize = 256;

#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// We have told the peer, and it has agreed.
    ours_done: bool,
    /// The peer has reset its direction.
    theirs_done: bool,
    /// `Finished` was reported.
    is_reported: bool,
}

/// A request of ours that is not answered.
#[derive(Debug)]
struct Outstanding {
    number: u32,
    last_tsn: u32,
    streams: Vec<StreamId>,
}

#[derive(Debug)]
pub(super) struct Resetting {
    pending: BTreeMap<StreamId, Progress>,
    /// Streams that are to be named in our next request.
    wanted: BTreeSet<StreamId>,
    outstanding: Option<Outstanding>,
    must_send: bool,
    next_number: u32,
    /// Of the last request of the peer that was dealt with.
    peer_number: u32,
    peer_result: u32,
    /// A request of the peer that waits for data sent before it: number, last number of the data, streams.
    waiting: Option<(u32, u32, Vec<StreamId>)>,
}

impl Resetting {
    pub(super) fn starting_at(number: u32) -> Resetting {
        Resetting {
            pending: BTreeMap::new(),
            wanted: BTreeSet::new(),
            outstanding: None,
            must_send: false,
            next_number: number,
            peer_number: 0,
            peer_result: SUCCESS,
            waiting: None,
        }
    }

    pub(super) fn peer_starts_at(&mut self, number: u32) {
        self.peer_number = number.wrapping_sub(1);
    }

    pub(super) fn is_pending(&self, id: StreamId) -> bool {
        self.pending.contains_key(&id)
    }
}

impl Association {
    /// Closes our direction of a stream, after what was written to it.
    pub(crate) fn close_stream(&mut self, id: StreamId) -> Result<()> {
        if self.is_handshaking() || self.is_closed() || self.is_closing() {
            return Err(Error::ErrStreamClosed);
        }
        let stream = self.streams.get_mut(&id).ok_or(Error::ErrStreamNotExisted)?;
        stream.is_closed = true;
        self.change_reassembly(id, crate::reassembly::Reassembly::discard);
        self.want_reset(id);
        Ok(())
    }

    fn want_reset(&mut self, id: StreamId) {
        if self.resetting.is_pending(id) {
            return;
        }
        let progress = Progress {
            ours_done: !self.peer.can_reset,
            ..Progress::default()
        };
        self.resetting.pending.insert(id, progress);
        if self.peer.can_reset {
            self.resetting.wanted.insert(id);
        }
    }

    /// Our request, when there is one to make or to repeat.
    pub(super) fn write_reset(&mut self, now: Instant, packets: &mut Vec<Bytes>) {
        if self.resetting.outstanding.is_none() {
            // What was written to a stream goes out before it is reset.
            let is_ready = |id: &&StreamId| !self.queue.has_messages(**id);
            let wanted = self.resetting.wanted.iter();
            let streams: Vec<StreamId> = wanted
                .filter(is_ready)
                .take(STREAMS_PER_REQUEST)
                .copied()
                .collect();
            if streams.is_empty() {
                return;
            }
            streams.iter().for_each(|id| {
                self.resetting.wanted.remove(id);
            });
            let number = self.resetting.next_number;
            self.resetting.next_number = number.wrapping_add(1);
            self.resetting.outstanding = Some(Outstanding {
                number,
                last_tsn: self.in_flight.next_tsn().wrapping_sub(1),
                streams,
            });
            self.resetting.must_send = true;
        }
        if !std::mem::take(&mut self.resetting.must_send) {
            return;
        }
        let mut writer = self.writer();
        if let Some(request) = &self.resetting.outstanding {
            let answered = self.resetting.peer_number;
            writer.outgoing_reset(request.number, answered, request.last_tsn, &request.streams);
            packets.push(writer.finish());
            self.start_timer(Timer::Reset, now);
        }
    }

    pub(super) fn reset_timed_out(&mut self) {
        self.resetting.must_send = self.resetting.outstanding.is_some();
    }

    pub(super) fn handle_reconfig(&mut self, requests: Vec<Request>, now: Instant) {
        if !self.is_alive() {
            return;
        }
        for request in requests {
            match request {
                Request::OutgoingReset {
                    number,
                    last_tsn,
                    streams,
                } => self.handle_reset_request(number, last_tsn, streams),
                Request::Response { number, result } => self.handle_response(number, result, now),
                Request::Other { number } => self.answer(number, DENIED),
            }
        }
    }

    fn answer(&mut self, number: u32, result: u32) {
        let mut writer = self.writer();
        writer.reconfig_response(number, result);
        self.control.push_back(writer.finish());
    }

    fn handle_reset_request(&mut self, number: u32, last_tsn: u32, streams: Vec<StreamId>) {
        if at_or_before(number, self.resetting.peer_number) {
            let result = if number == self.resetting.peer_number {
                self.resetting.peer_result
            } else {
                SUCCESS_NOTHING_TO_DO
            };
            return self.answer(number, result);
        }
        // No stream named: all of them.
        let streams = if streams.is_empty() {
            self.streams.keys().copied().collect()
        } else {
            streams
        };
        if !at_or_before(last_tsn, self.received.cumulative()) {
            // The peer has one request at a time, and repeats it.
            self.resetting.waiting = Some((number, last_tsn, streams));
            return self.answer(number, IN_PROGRESS);
        }
        self.grant(number, &streams);
    }

    fn grant(&mut self, number: u32, streams: &[StreamId]) {
        self.resetting.peer_number = number;
        self.resetting.peer_result = SUCCESS;
        self.resetting.waiting = None;
        self.reset_incoming(streams);
        self.answer(number, SUCCESS);
    }

    /// Data or a skip arrived: a request that waited for it takes effect.
    pub(super) fn streams_may_be_reset(&mut self) {
        let cumulative = self.received.cumulative();
        let is_ready = |(_, last_tsn, _): &mut (u32, u32, Vec<StreamId>)| at_or_before(*last_tsn, cumulative);
        if let Some((number, _, streams)) = self.resetting.waiting.take_if(is_ready) {
            self.grant(number, &streams);
        }
    }

    fn reset_incoming(&mut self, streams: &[StreamId]) {
        for id in streams {
            let is_known = self.streams.contains_key(id) || self.resetting.is_pending(*id);
            let is_done = self
                .resetting
                .pending
                .get(id)
                .is_some_and(|progress| progress.theirs_done);
            if !is_known || is_done {
                continue;
            }
            self.change_reassembly(*id, crate::reassembly::Reassembly::reset);
            self.want_reset(*id);
            if let Some(progress) = self.resetting.pending.get_mut(id) {
                progress.theirs_done = true;
            }
        }
    }

    fn handle_response(&mut self, number: u32, result: u32, now: Instant) {
        let is_outstanding = |request: &&mut Outstanding| request.number == number;
        if self
            .resetting
            .outstanding
            .as_mut()
            .filter(is_outstanding)
            .is_none()
        {
            return;
        }
        if result == IN_PROGRESS {
            self.start_timer(Timer::Reset, now);
            return;
        }
        self.timers.stop(Timer::Reset);
        let Some(request) = self.resetting.outstanding.take() else {
            return;
        };
        if result != SUCCESS && result != SUCCESS_NOTHING_TO_DO {
            log::debug!(
                "the peer refuses to reset streams {:?}: {result}",
                request.streams
            );
        }
        for id in request.streams {
            self.queue.reset(id);
            if let Some(progress) = self.resetting.pending.get_mut(&id) {
                progress.ours_done = true;
            }
        }
    }

    /// The next stream to report as finished or as free again: not before everything on it is read.
    pub(super) fn finish_read_streams(&mut self) -> Option<Event> {
        let streams = &self.streams;
        let is_read = |id: &StreamId| {
            streams
                .get(id)
                .is_none_or(|stream| stream.is_closed || !stream.reassembly.is_readable())
        };
        let (id, progress) = self.resetting.pending.iter_mut().find(|(id, progress)| {
            progress.theirs_done && is_read(id) && (!progress.is_reported || progress.ours_done)
        })?;
        let id = *id;
        if !progress.is_reported {
            progress.is_reported = true;
            if let Some(stream) = self.streams.remove(&id) {
                self.received_bytes -= stream.reassembly.bytes();
            }
            return Some(Event::Stream(StreamEvent::Finished { id }));
        }
        self.resetting.pending.remove(&id);
        Some(Event::Stream(StreamEvent::ResetComplete { id }))
    }
}
