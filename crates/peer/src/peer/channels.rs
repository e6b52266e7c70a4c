//! Data channels of a peer (RFC 8831): opened here or by the remote.

use std::time::Instant;

use str0m::channel::{ChannelConfig as RtcChannelConfig, ChannelId, Reliability};

use super::{Peer, PeerEvent, State};
use crate::ChannelConfig;
use crate::channels::{ChannelSender, ChannelTable};

impl Peer {
    /// Numbers and queues of all channels, for any thread.
    pub fn channel_table(&self) -> ChannelTable {
        self.channels.table.clone()
    }

    /// Open the channel whose number was reserved with [`ChannelTable::create`]. ChannelOpen follows.
    pub fn open_channel(&mut self, sender: ChannelSender, config: ChannelConfig, now: Instant) {
        if self.state != State::Open {
            return;
        }
        let reliability = match config.max_retransmits {
            None => Reliability::Reliable,
            Some(retransmits) => Reliability::MaxRetransmits { retransmits },
        };
        let id = self.rtc.direct_api().create_data_channel(RtcChannelConfig {
            label: config.label,
            ordered: config.ordered,
            reliability,
            ..RtcChannelConfig::default()
        });
        self.channels.add(id, sender);
        self.touch(now);
    }

    /// After [`crate::SendOutcome::Queued`] with `wake`.
    pub fn flush_channels(&mut self, now: Instant) {
        self.channels.acknowledge_wake();
        self.advance(now);
        self.settle(now);
    }

    pub(super) fn channel_opened(&mut self, id: ChannelId, label: String) {
        let reliability = self
            .rtc
            .channel(id)
            .and_then(|channel| channel.config().map(|config| config.reliability));
        let reliable = reliability.is_none_or(|reliability| reliability == Reliability::Reliable);
        match self.channels.opened(id, reliable) {
            Some(number) => self.events.push_back(PeerEvent::ChannelOpen(number, label)),
            None => {
                log::warn!("the remote's channel {label:?} is refused: there are too many");
                self.rtc.direct_api().close_data_channel(id);
            }
        }
    }
}
