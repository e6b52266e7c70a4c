//! Data tracks through the unit: a publisher's packets go to each subscriber with the handle changed.
//!
//! A subscriber that is behind loses whole frames (`data_frames`): no time is spent on parts of frames that can't be
//! completed.

use greenroom_datatrack::{read_handle, write_handle};
use greenroom_transport::ChannelId;

use super::Sfu;
use crate::error::Result;
use crate::handles::Handle;

/// Packets wait while a subscriber's channel holds more than this; it would drop the oldest of more than 256 KiB.
const CHANNEL_BYTES: usize = 192 * 1024;

/// One subscription of one data track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataSubscription {
    transport: Handle,
    /// What the subscriber knows the track by.
    handle: u16,
}

impl Sfu {
    /// Messages of this channel are packets of data tracks: those that come are forwarded and not reported, and those
    /// for this transport go out on it.
    ///
    /// # Errors
    /// When the transport is gone.
    pub fn set_data_track_channel(&mut self, transport: Handle, channel: ChannelId) -> Result<()> {
        self.connection(transport)?.data_track_channel = Some(channel);
        Ok(())
    }

    /// Forward the track that `publisher` sends as `published_handle` to `subscriber` as `handle`. A subscription
    /// that there is already gets the new handle.
    ///
    /// # Errors
    /// When the publisher's transport is gone.
    pub fn subscribe_data_track(
        &mut self,
        publisher: Handle,
        published_handle: u16,
        subscriber: Handle,
        handle: u16,
    ) -> Result<()> {
        self.unsubscribe_data_track(publisher, published_handle, subscriber);
        let subscription = DataSubscription {
            transport: subscriber,
            handle,
        };
        let tracks = &mut self.connection(publisher)?.data_tracks;
        tracks
            .entry(published_handle.into())
            .or_default()
            .push(subscription);
        Ok(())
    }

    /// Does nothing for a subscription that does not exist.
    pub fn unsubscribe_data_track(&mut self, publisher: Handle, published_handle: u16, subscriber: Handle) {
        let Some(connection) = self.connections.get_mut(&publisher) else {
            return;
        };
        let key = u64::from(published_handle);
        if let Some(subscriptions) = connection.data_tracks.get_mut(&key) {
            let ended = subscriptions.extract_if(.., |subscription| subscription.transport == subscriber);
            let handles: Vec<u16> = ended.map(|subscription| subscription.handle).collect();
            if subscriptions.is_empty() {
                connection.data_tracks.remove(&key);
            }
            if let Some(connection) = self.connections.get_mut(&subscriber) {
                handles
                    .iter()
                    .for_each(|handle| connection.data_frames.forget(*handle));
            }
        }
    }

    pub(super) fn carries_data_tracks(&self, transport: Handle, channel: ChannelId) -> bool {
        let connection = self.connections.get(&transport);
        connection.is_some_and(|connection| connection.data_track_channel == Some(channel))
    }

    /// A publisher's message of its data track channel.
    pub(super) fn forward_data_track(&mut self, publisher: Handle, mut packet: Vec<u8>) {
        let Ok(published_handle) = read_handle(&packet) else {
            self.statistics.packets_dropped_malformed += 1;
            return;
        };
        let key = u64::from(published_handle);
        let taken = self
            .connections
            .get_mut(&publisher)
            .and_then(|connection| connection.data_tracks.remove(&key));
        let Some(mut subscriptions) = taken else {
            return; // nobody wants it
        };
        for subscription in &subscriptions {
            write_handle(&mut packet, subscription.handle);
            self.queue_data_track(*subscription, &packet);
        }
        // Subscriptions whose transport has gone, go.
        subscriptions.retain(|subscription| self.connections.contains_key(&subscription.transport));
        if let Some(connection) = self.connections.get_mut(&publisher)
            && !subscriptions.is_empty()
        {
            connection.data_tracks.insert(key, subscriptions);
        }
    }

    fn queue_data_track(&mut self, subscription: DataSubscription, packet: &[u8]) {
        let connection = self.connections.get_mut(&subscription.transport);
        let Some(connection) =
            connection.filter(|connection| connection.data_track_channel.is_some() && !connection.failed)
        else {
            self.statistics.data_track_packets_dropped += 1;
            return;
        };
        connection.data_frames.push(subscription.handle, packet.to_vec());
        self.statistics.data_track_packets_dropped += connection.data_frames.take_dropped();
        if self.send_data_tracks(subscription.transport) {
            self.mark_dirty(subscription.transport);
        }
    }

    /// Packets of data tracks that wait, while there is room in the channel. Whether any were sent.
    pub(super) fn send_data_tracks(&mut self, subscriber: Handle) -> bool {
        let mut any = false;
        while let Some(connection) = self.connections.get_mut(&subscriber)
            && let Some(channel) = connection.data_track_channel
            && !connection.data_frames.is_empty()
            && connection.transport.buffered_amount(channel) <= CHANNEL_BYTES
            && let Some(packet) = connection.data_frames.next()
        {
            any = true;
            if connection.transport.send_message(channel, &packet).is_ok() {
                self.statistics.data_track_packets_sent += 1;
            } else {
                self.statistics.data_track_packets_dropped += 1;
            }
        }
        any
    }
}
