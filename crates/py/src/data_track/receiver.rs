//! `DataTrackReceiver`: the frames of one remote track, for all streams that read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use greenroom_datatrack::{Depacketizer, Packet};
use pyo3::prelude::*;

use super::lock;
use super::stream::StreamShared;

/// A receiver without its Python object.
#[derive(Default)]
pub struct ReceiverShared {
    depacketizer: Mutex<Depacketizer>,
    pub(super) streams: Mutex<Vec<Arc<StreamShared>>>,
}

impl ReceiverShared {
    fn push(&self, packet: &Packet<'_>) {
        let frame = lock(&self.depacketizer).push(packet);
        if let Some(frame) = frame {
            let frame = Arc::new(frame);
            for stream in lock(&self.streams).iter() {
                stream.push(Arc::clone(&frame));
            }
        }
    }
}

/// One remote data track.
#[pyclass(module = "greenroom._engine", frozen)]
pub struct DataTrackReceiver {
    pub(super) shared: Arc<ReceiverShared>,
}

impl DataTrackReceiver {
    pub fn shared(&self) -> Arc<ReceiverShared> {
        Arc::clone(&self.shared)
    }
}

#[pymethods]
impl DataTrackReceiver {
    #[new]
    fn new() -> DataTrackReceiver {
        DataTrackReceiver {
            shared: Arc::default(),
        }
    }

    fn set_max_partial_frames(&self, count: usize) {
        lock(&self.shared.depacketizer).set_max_partial_frames(count);
    }

    #[getter]
    fn dropped_frames(&self) -> u64 {
        lock(&self.shared.depacketizer).dropped_frames()
    }

    fn reset(&self) {
        lock(&self.shared.depacketizer).reset();
    }

    fn end(&self) {
        for stream in std::mem::take(&mut *lock(&self.shared.streams)) {
            stream.end();
        }
    }
}

/// The data tracks that one peer receives: which messages are packets of them, and whose.
#[derive(Clone, Default)]
pub struct DataTracks(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    label: Option<String>,
    channels: Vec<u32>,
    receivers: HashMap<u16, Arc<ReceiverShared>>,
}

impl DataTracks {
    /// Messages of channels with this label are packets from now on. Give it before such a channel opens.
    pub fn set(&self, label: String, receivers: HashMap<u16, Arc<ReceiverShared>>) {
        let mut table = lock(&self.0);
        table.label = Some(label);
        table.receivers = receivers;
    }

    /// A channel opened.
    pub fn opened(&self, channel: u32, label: &str) {
        let mut table = lock(&self.0);
        if table.label.as_deref() == Some(label) {
            table.channels.push(channel);
        }
    }

    /// A channel closed.
    pub fn closed(&self, channel: u32) {
        lock(&self.0).channels.retain(|other| *other != channel);
    }

    /// Takes a message of a data track channel; false for one of another channel. A packet of an unknown track is
    /// dropped, as is what is no packet.
    pub fn take(&self, channel: u32, message: &[u8]) -> bool {
        let table = lock(&self.0);
        if !table.channels.contains(&channel) {
            return false;
        }
        let Ok(packet) = Packet::parse(message) else {
            log::debug!(
                "channel {channel}: a message of {} bytes is no data track packet",
                message.len()
            );
            return true;
        };
        let receiver = table.receivers.get(&packet.handle).cloned();
        drop(table);
        if let Some(receiver) = receiver {
            receiver.push(&packet);
        }
        true
    }
}
