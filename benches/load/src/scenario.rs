//! The loads: who joins, publishes and watches what.

use std::collections::HashMap;

use crate::participant::{Expected, Plan};
use crate::track::{AUDIO_PACKETS_PER_S, Content, Layer};

/// Visible tiles of a gallery.
const TILES: usize = 9;
/// Participants of a gallery whose microphone is on.
const SPEAKERS: usize = 3;

/// One load, in its two waves: the second joins when the first is there.
pub struct Scenario {
    pub publishers: Vec<Plan>,
    pub others: Vec<Plan>,
}

/// By name, with this many publishers and others; None when there is none of that name.
pub fn by_name(name: &str, publishers: usize, others: usize) -> Option<Scenario> {
    match name {
        "audio" => Some(broadcast(publishers, others, &Content::Audio { is_on: true })),
        "video" => Some(broadcast(publishers, others, &Content::Video(Layer::High))),
        "gallery" => Some(gallery(others)),
        _ => None,
    }
}

/// Some publish and receive nothing, the others receive it all.
fn broadcast(publishers: usize, subscribers: usize, content: &Content) -> Scenario {
    let packets_per_s = match content {
        Content::Video(layer) => layer.packets_per_s(),
        _ => AUDIO_PACKETS_PER_S,
    };
    let publisher = |index| Plan {
        identity: format!("publisher-{index}"),
        auto_subscribe: false,
        publishes: vec![content.clone()],
        tiles: None,
        expects: Expected::default(),
    };
    let subscriber = |index| Plan {
        identity: format!("subscriber-{index}"),
        auto_subscribe: true,
        publishes: Vec::new(),
        tiles: None,
        expects: Expected {
            streams: publishers as u64,
            packets_per_s: publishers as u64 * packets_per_s,
        },
    };
    Scenario {
        publishers: (0..publishers).map(publisher).collect(),
        others: (0..subscribers).map(subscriber).collect(),
    }
}

/// Everybody publishes a microphone and a camera with simulcast, hears the speakers and sees nine tiles: the first
/// participant large, and those that follow oneself small.
fn gallery(participants: usize) -> Scenario {
    let identity = |index: usize| format!("participant-{index}");
    let tiles = TILES.min(participants.saturating_sub(1));
    let speakers = SPEAKERS.min(participants);
    let plan = |index: usize| {
        let large = (index > 0).then_some((0, Layer::High));
        let small = (1..participants)
            .map(|step| (index + step) % participants)
            .filter(|other| *other != 0)
            .map(|other| (other, Layer::Low));
        let visible: HashMap<String, Layer> = large
            .into_iter()
            .chain(small)
            .take(tiles)
            .map(|(other, layer)| (identity(other), layer))
            .collect();
        let is_speaker = index < speakers;
        let heard = (speakers - usize::from(is_speaker)) as u64;
        // The layers that somebody watches: what dynacast leaves of them.
        let watched = if index == 0 {
            vec![Layer::Low, Layer::High]
        } else {
            vec![Layer::Low]
        };
        Plan {
            identity: identity(index),
            auto_subscribe: true,
            publishes: vec![Content::Audio { is_on: is_speaker }, Content::Simulcast(watched)],
            expects: Expected {
                streams: visible.len() as u64 + heard,
                packets_per_s: visible.values().map(|layer| layer.packets_per_s()).sum::<u64>()
                    + heard * AUDIO_PACKETS_PER_S,
            },
            tiles: Some(visible),
        }
    };
    Scenario {
        publishers: Vec::new(),
        others: (0..participants).map(plan).collect(),
    }
}
