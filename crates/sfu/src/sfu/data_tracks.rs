//! Data tracks through the unit: a publisher's packets go to each subscriber with the handle changed.
//!
//! A subscriber that is behind loses whole frames, the ones that come while its channel is full: no time is spent on
//! parts of frames that can't be completed.

use greenroom_datatrack::{read_handle, write_handle};
use greenroom_transport::ChannelId;

use super::Sfu;
use crate::error::Result;
use crate::handles::Handle;

/// A frame that begins while a subscriber's channel holds more than this is dropped for it.
const WAITING_LIMIT_BYTES: usize = 128 * 1024;
/// Of the first byte of a packet: it begins a frame.
const START: u8 = 1 << 4;

/// One subscription of one data track.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DataSubscription {
    transport: Handle,
    /// What the subscriber knows the track by.
    handle: u16,
    /// What comes up to the next start of a frame is dropped.
    skipping: bool,
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
            skipping: true,
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
            subscriptions.retain(|subscription| subscription.transport != subscriber);
            if subscriptions.is_empty() {
                connection.data_tracks.remove(&key);
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
        for subscription in &mut subscriptions {
            write_handle(&mut packet, subscription.handle);
            if self.send_data_track(subscription, &packet) {
                self.statistics.data_track_packets_sent += 1;
            } else {
                self.statistics.data_track_packets_dropped += 1;
            }
        }
        // Subscriptions whose transport has gone, go.
        subscriptions.retain(|subscription| self.connections.contains_key(&subscription.transport));
        if let Some(connection) = self.connections.get_mut(&publisher)
            && !subscriptions.is_empty()
        {
            connection.data_tracks.insert(key, subscriptions);
        }
    }

    fn send_data_track(&mut self, subscription: &mut DataSubscription, packet: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(&subscription.transport) else {
            return false;
        };
        let Some(channel) = connection.data_track_channel.filter(|_| !connection.failed) else {
            return false;
        };
        if packet[0] & START != 0 {
            subscription.skipping = connection.transport.buffered_amount(channel) > WAITING_LIMIT_BYTES;
        }
        if subscription.skipping {
            return false;
        }
        let sent = connection
            .transport
            .send_message(channel, packet)
            .unwrap_or(false);
        subscription.skipping = !sent;
        if sent {
            self.mark_dirty(subscription.transport);
        }
        sent
    }
}
