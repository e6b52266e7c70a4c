//! What Python describes media with: any object with these attributes.

use pyo3::prelude::*;

/// `_PayloadType` of the stub
#[derive(Clone, Debug, FromPyObject)]
pub struct PayloadType {
    pub payload_type: u8,
    /// Lower case.
    pub codec: String,
    pub clock_rate_hz: u32,
    pub channels: Option<u8>,
    /// The fmtp text, empty when there is none.
    pub format_parameters: String,
    pub rtx_payload_type: Option<u8>,
    /// rtcp-fb values.
    pub feedback: Vec<String>,
}

/// `_HeaderExtension` of the stub
#[derive(Clone, Debug, FromPyObject)]
pub struct HeaderExtension {
    pub id: u8,
    pub uri: String,
}

/// `_SendLayer` of the stub
#[derive(Clone, Debug, FromPyObject)]
pub struct SendLayer {
    pub rid: Option<String>,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub scale_down_by: f64,
    pub max_bitrate_bps: u32,
    pub max_framerate: f64,
}

/// `_IceServer` of the stub
#[derive(Clone, Debug, FromPyObject)]
pub struct IceServer {
    pub kind: String,
    pub transport: String,
    pub url: String,
    pub host: String,
    pub address: String,
    pub port: u16,
    pub username: String,
    pub password: String,
    pub trusted_certificates: Option<Vec<Vec<u8>>>,
    pub verify: bool,
}

/// `_ReceiveLayer` of the stub
#[derive(Clone, Debug, FromPyObject)]
pub struct ReceiveLayer {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub rid: Option<String>,
}
