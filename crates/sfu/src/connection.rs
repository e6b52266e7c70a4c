//! A transport inside the unit, with what is routed through it.

use std::collections::VecDeque;
use std::time::Instant;

use greenroom_transport::{ChannelId, IceState, Transport};

use crate::bandwidth::Bandwidth;
use crate::data_frames::FrameQueue;
use crate::down_track::Retired;
use crate::egress::Egress;
use crate::handles::{Handle, HandleMap};
use crate::parameters::ExtensionIds;
use crate::sfu::DataSubscription;
use crate::twcc::FeedbackGenerator;

/// SSRCs of closed down tracks that are remembered per transport.
const MAX_RETIRED: usize = 4_096;

/// What a received SSRC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamBinding {
    pub up_track: Handle,
    pub layer: u8,
    pub is_rtx: bool,
}

/// One transport and its tables.
pub(crate) struct Connection {
    pub transport: Transport,
    pub up_tracks: Vec<Handle>,
    pub down_tracks: Vec<Handle>,
    /// By received SSRC. Only SSRCs that were declared or bound by extensions get here.
    pub streams: HandleMap<StreamBinding>,
    /// By media SSRC that we send.
    pub down_by_ssrc: HandleMap<Handle>,
    /// Carries packets of data tracks, both ways.
    pub data_track_channel: Option<ChannelId>,
    /// By the publisher's handle: who gets its data track.
    pub data_tracks: HandleMap<Vec<DataSubscription>>,
    /// Frames of others' data tracks, for this peer.
    pub data_frames: FrameQueue,
    /// Of the publisher's bundle.
    pub extensions: ExtensionIds,
    pub feedback: FeedbackGenerator,
    /// Some media SSRC of the publisher, named in transport-wide feedback.
    pub feedback_ssrc: u32,
    pub egress: Egress,
    /// Under which we report.
    pub own_ssrc: u32,
    pub next_report_at: Option<Instant>,
    pub full_intra_number: u8,
    pub media_deadline: Option<Instant>,
    pub scheduled: Option<Instant>,
    pub dirty: bool,
    pub failed: bool,
    pub ice_state: IceState,
    pub remb_bps: Option<u64>,
    pub bandwidth: Bandwidth,
    retired: HandleMap<Retired>,
    retired_order: VecDeque<u32>,
}

impl Connection {
    pub fn new(transport: Transport, own_ssrc: u32, now: Instant) -> Connection {
        Connection {
            transport,
            up_tracks: Vec::new(),
            down_tracks: Vec::new(),
            streams: HandleMap::default(),
            down_by_ssrc: HandleMap::default(),
            data_track_channel: None,
            data_tracks: HandleMap::default(),
            data_frames: FrameQueue::default(),
            extensions: ExtensionIds::default(),
            feedback: FeedbackGenerator::new(now),
            feedback_ssrc: 0,
            egress: Egress::new(now),
            own_ssrc,
            next_report_at: None,
            full_intra_number: 0,
            media_deadline: None,
            scheduled: None,
            dirty: false,
            failed: false,
            ice_state: IceState::New,
            remb_bps: None,
            bandwidth: Bandwidth::default(),
            retired: HandleMap::default(),
            retired_order: VecDeque::new(),
        }
    }

    /// Media work is due at `at`, if not before.
    pub fn lower_deadline(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return };
        self.media_deadline = Some(self.media_deadline.map_or(at, |before| before.min(at)));
    }

    /// A down track with this SSRC ended.
    pub fn retire(&mut self, ssrc: u32, retired: Retired) {
        if self.retired.insert(u64::from(ssrc), retired).is_none() {
            self.retired_order.push_back(ssrc);
        }
        if self.retired_order.len() > MAX_RETIRED
            && let Some(oldest) = self.retired_order.pop_front()
        {
            self.retired.remove(&u64::from(oldest));
        }
    }

    /// Where an earlier down track with this SSRC stopped.
    pub fn retired(&self, ssrc: u32) -> Option<Retired> {
        self.retired.get(&u64::from(ssrc)).copied()
    }
}
