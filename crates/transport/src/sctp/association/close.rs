//! How channels end: their streams are reset once the queue is out (RFC 8831 section 6.7).

use super::{Sctp, SctpEvent};
use crate::sctp::channel::ChannelState;
use crate::types::ChannelId;

impl Sctp {
    pub(super) fn remove(&mut self, id: ChannelId) {
        let Some(channel) = self.channels.remove(&id) else {
            return;
        };
        if let Some(stream) = channel.stream {
            self.by_stream.remove(&stream);
        }
        if channel.state != ChannelState::Unannounced {
            self.events.push_back(SctpEvent::Closed(id));
        }
    }

    pub(super) fn reset(&mut self, stream: u16) {
        let reset = self
            .association
            .as_mut()
            .map(|association| association.stream(stream));
        if let Some(Ok(mut stream)) = reset
            && let Err(error) = stream.close()
        {
            log::debug!("stream cannot be reset: {error}");
        }
    }

    pub(super) fn close_finished(&mut self) {
        let finished: Vec<(ChannelId, Option<u16>)> = self
            .channels
            .values()
            .filter(|channel| channel.state == ChannelState::Closing && channel.queue.is_empty())
            .map(|channel| (channel.id, channel.stream))
            .collect();
        for (id, stream) in finished {
            if let Some(stream) = stream {
                self.reset(stream);
            }
            self.remove(id);
        }
    }

    /// Ends every channel; the association does not come back.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
        self.is_established = false;
        let open: Vec<ChannelId> = self.channels.keys().copied().collect();
        open.into_iter().for_each(|id| self.remove(id));
    }
}
