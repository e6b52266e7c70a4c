//! What an unknown SSRC is: bound by the mid and rid extensions (RFC 8852, RFC 9143 section 9.2) or by payload type.

use super::Sfu;
use crate::connection::StreamBinding;
use crate::handles::Handle;
use crate::rtp_header::RtpView;
use crate::up_track::UpTrack;

/// SSRCs that one transport may have bound.
const MAX_STREAMS: usize = 1_024;

impl Sfu {
    /// Binds an unknown SSRC by the mid and rid extensions, or by payload type when only one track can be meant.
    pub(super) fn bind(&mut self, handle: Handle, view: &RtpView<'_>) -> Option<StreamBinding> {
        let connection = self.connections.get_mut(&handle)?;
        if connection.streams.len() >= MAX_STREAMS {
            return None;
        }
        let ids = connection.extensions;
        let mid = view.text_extension(ids.mid);
        let (rid, repaired) = (
            view.text_extension(ids.rid),
            view.text_extension(ids.repaired_rid),
        );
        let tracks = connection
            .up_tracks
            .iter()
            .filter_map(|track| self.up_tracks.get(track));
        let found = match mid {
            Some(mid) => tracks
                .filter(|track| track.mid == mid)
                .find_map(|track| binding_in(track, view, rid, repaired)),
            None => {
                let mut candidates = tracks.filter_map(|track| binding_in(track, view, rid, repaired));
                candidates.next().filter(|_| candidates.next().is_none())
            }
        }?;
        let layer = self
            .up_tracks
            .get_mut(&found.up_track)?
            .layers
            .get_mut(usize::from(found.layer))?;
        if found.is_rtx {
            layer.rtx_ssrc = Some(view.ssrc);
        } else {
            // Another SSRC for the same layer replaces the one before.
            if let Some(before) = layer.ssrc {
                connection.streams.remove(&u64::from(before));
            }
            layer.rebind(view.ssrc);
        }
        connection.streams.insert(u64::from(view.ssrc), found);
        Some(found)
    }
}

/// How a packet with an unknown SSRC fits a track.
fn binding_in(
    track: &UpTrack,
    view: &RtpView<'_>,
    rid: Option<&str>,
    repaired: Option<&str>,
) -> Option<StreamBinding> {
    let is_media = track.payload_type(view.payload_type).is_some();
    let is_rtx = !is_media && track.media_of_rtx(view.payload_type).is_some();
    if !is_media && !is_rtx {
        return None;
    }
    let named = if is_rtx { repaired.or(rid) } else { rid };
    let layer = match named {
        Some(rid) => track
            .layer_of_rid(rid)
            .or_else(|| (track.layers.len() == 1 && track.layers[0].rid.is_none()).then_some(0))?,
        None if track.layers.len() == 1 => 0,
        None => return None,
    };
    Some(StreamBinding {
        up_track: track.handle,
        layer,
        is_rtx,
    })
}
