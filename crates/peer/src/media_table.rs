//! Which mids and SSRCs are in use. str0m's direct API panics on inconsistent use, so everything is checked here first.

use std::collections::HashMap;
use std::time::Instant;

use str0m::Rtc;
use str0m::media::{MediaKind, Mid};

use crate::rtc_config::Templates;
use crate::{PeerError, Result, TrackKind};

struct Entry {
    name: String,
    kind: TrackKind,
    users: u32,
}

/// The medias declared to str0m.
pub(crate) struct MediaTable {
    templates: Templates,
    started_at: Instant,
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
    pub fn new(templates: Templates, started_at: Instant) -> Self {
        Self {
            templates,
            started_at,
            entries: HashMap::new(),
            send_ssrcs: HashMap::new(),
            receive_ssrcs: HashMap::new(),
        }
    }

    /// str0m's form of a mid: at most 16 letters and digits.
    pub fn mid(name: &str) -> Result<Mid> {
        if name.is_empty() || name.len() > 16 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
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
    pub fn acquire(&mut self, rtc: &mut Rtc, mid: Mid, name: &str, kind: TrackKind, way: Way, ssrcs: &[u32]) {
        let entry = self.entries.entry(mid).or_insert_with(|| {
            let media_kind = match kind {
                TrackKind::Audio => MediaKind::Audio,
                TrackKind::Video => MediaKind::Video,
            };
            let mut api = rtc.direct_api();
            let media = api.declare_media(mid, media_kind);
            if let Some(template) = self.templates.get(kind) {
                // str0m gives a media every extension of the session; only one of another session has others.
                let mut other = template.clone().build(self.started_at);
                std::mem::swap(media, other.direct_api().declare_media(mid, media_kind));
            }
            Entry {
                name: name.into(),
                kind,
                users: 0,
            }
        });
        entry.users += 1;
        self.ssrcs_mut(way).extend(ssrcs.iter().map(|ssrc| (*ssrc, mid)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeaderExtension, PeerConfig, rtc_config};
    use str0m::rtp::Extension;

    #[test]
    fn a_media_has_the_extensions_of_its_kind_only() {
        let extension = |id, uri: &str| HeaderExtension { id, uri: uri.into() };
        let level = extension(1, Extension::AudioLevel.as_uri());
        let mid = extension(4, Extension::RtpMid.as_uri());
        let transport_cc = extension(3, Extension::TransportSequenceNumber.as_uri());
        let config = PeerConfig {
            header_extensions_audio: vec![level, mid.clone()],
            header_extensions_video: vec![mid, transport_cc],
            ..PeerConfig::default()
        };
        let now = Instant::now();
        let mut rtc = rtc_config::build(&config).unwrap().build(now);
        let mut table = MediaTable::new(Templates::new(&config).unwrap(), now);
        for (name, kind) in [
            ("0", TrackKind::Audio),
            ("1", TrackKind::Video),
            ("2", TrackKind::Audio),
        ] {
            let mid = MediaTable::mid(name).unwrap();
            table.acquire(&mut rtc, mid, name, kind, Way::Send, &[]);
            let extensions = rtc.media(mid).unwrap().remote_extmap();
            let is_video = kind == TrackKind::Video;
            assert_eq!(
                extensions.id_of(Extension::TransportSequenceNumber).is_some(),
                is_video
            );
            assert_eq!(extensions.id_of(Extension::AudioLevel).is_some(), !is_video);
            assert_eq!(extensions.id_of(Extension::RtpMid), Some(4));
        }
    }
}
