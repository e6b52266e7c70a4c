//! What feeds the senders of a peer.

use std::sync::Arc;

use crate::{audio, video};

/// What feeds a sender.
pub(super) enum Feed {
    Audio(Arc<audio::SourceShared>),
    Video(Arc<video::SourceShared>),
}

impl Feed {
    pub(super) fn detach(&self, peer_handle: u64, mid: &str) {
        match self {
            Feed::Audio(source) => source.detach_sender(peer_handle, mid),
            Feed::Video(source) => source.detach_sender(peer_handle, mid),
        }
    }
}
