//! Which simulcast layers a video sender may have (rids: RFC 8851).

use crate::{PeerError, Result, VideoSenderConfig};

const LAYERS_LIMIT: usize = 8;

pub(super) fn check_layers(config: &VideoSenderConfig) -> Result<()> {
    let refuse = |value: String, reason: &str| {
        Err(PeerError::Parameter {
            name: "video layers",
            value,
            reason: reason.into(),
        })
    };
    let layers = &config.layers;
    if layers.is_empty() || layers.len() > LAYERS_LIMIT {
        return refuse(layers.len().to_string(), "there must be 1 to 8");
    }
    for (index, layer) in layers.iter().enumerate() {
        let rid = layer.rid.as_deref();
        if rid.is_some_and(|rid| {
            rid.is_empty() || rid.len() > 8 || !rid.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }) {
            return refuse(
                format!("{rid:?}"),
                "a rid must be 1 to 8 ASCII letters and digits",
            );
        }
        if layers[..index].iter().any(|other| other.rid == layer.rid) || (layers.len() > 1 && rid.is_none()) {
            return refuse(
                format!("{rid:?}"),
                "each of several layers must have a rid of its own",
            );
        }
        if layer.max_bitrate_bps == 0 {
            return refuse("0 bit/s".into(), "max_bitrate_bps must be above 0");
        }
    }
    Ok(())
}
