//! Which mids and SSRCs are in use. str0m's direct API panics on inconsistent use, so everything is checked here first.

use std::collections::HashMap;

use str0m::Rtc;
use str0m::media::{MediaKind, Mid};

use crate::{PeerError, Result, TrackKind};

struct Entry {
    name: String,
    kind: TrackKind,
    users: u32,
}

/// The medias declared to str0m.
#[derive(Default)]
pub(crate) struct MediaTable {
    entries: HashMap<Mid, Entry>,
    send_ssrcs: HashMap<u32, Mid>,
    receive_ssrcs: HashMap<u32, Mid>,
}

/// Direction of an SSRC, as seen from here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Send,
    Receive,
}

impl MediaTable {
    /// str0m's form of a mid: at most 16 letters and digits.
    pub fn mid(name: &str) -> Result<Mid> {
        if name.is_empty()
            || name.len() > 16
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            let reason = "it must be 1 to 16 ASCII letters and digits".into();
            return Err(PeerError::Parameter {
                name: "mid",
                value: name.chars().take(64).collect(),
                reason,
            });
        }
        Ok(Mid::from(name))
    }

    pub fn name(&self, mid: Mid) -> &str {
        self.entries.get(&mid).map_or("", |entry| &entry.name)
    }

    /// That this mid can be used for this kind.
    pub fn check_kind(&self, mid: Mid, kind: TrackKind) -> Result<()> {
        match self.entries.get(&mid) {
            Some(entry) if entry.kind != kind => Err(PeerError::MediaKind {
                mid: entry.name.clone(),
                existing: entry.kind.name(),
                wanted: kind.name(),
            }),
            _ => Ok(()),
        }
    }

    /// That none of these SSRCs is in use (by another mid than `except`), 0, or given twice.
    pub fn check_ssrcs(&self, way: Way, ssrcs: &[u32], except: Option<Mid>) -> Result<()> {
        let used = self.ssrcs(way);
        for (index, ssrc) in ssrcs.iter().enumerate() {
            if *ssrc == 0 {
                let reason = "0 is reserved for bandwidth probes".into();
                return Err(PeerError::Parameter {
                    name: "ssrc",
                    value: "0".into(),
                    reason,
                });
            }
            if let Some(mid) = used.get(ssrc).filter(|mid| Some(**mid) != except) {
                return Err(PeerError::DuplicateSsrc {
                    ssrc: *ssrc,
                    mid: self.name(*mid).into(),
                });
            }
            if ssrcs[..index].contains(ssrc) {
                let reason = "it is given twice".into();
                return Err(PeerError::Parameter {
                    name: "ssrc",
                    value: ssrc.to_string(),
                    reason,
                });
            }
        }
        Ok(())
    }

    fn ssrcs(&self, way: Way) -> &HashMap<u32, Mid> {
        match way {
            Way::Send => &self.send_ssrcs,
            Way::Receive => &self.receive_ssrcs,
        }
    }

    fn ssrcs_mut(&mut self, way: Way) -> &mut HashMap<u32, Mid> {
        match way {
            Way::Send => &mut self.send_ssrcs,
            Way::Receive => &mut self.receive_ssrcs,
        }
    }

    /// Declare the media if it is new, and note the SSRCs. Checked before.
    pub fn acquire(
        &mut self,
        rtc: &mut Rtc,
        mid: Mid,
        name: &str,
        kind: TrackKind,
        way: Way,
        ssrcs: &[u32],
    ) {
        let entry = self.entries.entry(mid).or_insert_with(|| {
            let media_kind = match kind {
                TrackKind::Audio => MediaKind::Audio,
                TrackKind::Video => MediaKind::Video,
            };
            rtc.direct_api().declare_media(mid, media_kind);
            Entry {
                name: name.into(),
                kind,
                users: 0,
            }
        });
        entry.users += 1;
        self.ssrcs_mut(way)
            .extend(ssrcs.iter().map(|ssrc| (*ssrc, mid)));
    }

    /// Undo one `acquire`; the media goes with its last user.
    pub fn release(&mut self, rtc: &mut Rtc, mid: Mid, way: Way) {
        let ssrcs: Vec<u32> = self
            .ssrcs(way)
            .iter()
            .filter(|(_, user)| **user == mid)
            .map(|(ssrc, _)| *ssrc)
            .collect();
        for ssrc in ssrcs {
            self.ssrcs_mut(way).remove(&ssrc);
            let mut api = rtc.direct_api();
            match way {
                Way::Send => api.remove_stream_tx(ssrc.into()),
                Way::Receive => api.remove_stream_rx(ssrc.into()),
            };
        }
        let Some(entry) = self.entries.get_mut(&mid) else {
            return;
        };
        entry.users -= 1;
        if entry.users == 0 {
            self.entries.remove(&mid);
            rtc.direct_api().remove_media(mid);
        }
    }
}
