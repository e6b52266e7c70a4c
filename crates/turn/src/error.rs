//! Why a server was of no use.

use std::net::SocketAddr;

/// Why a STUN or TURN server gave nothing. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    #[error(
        "the server refused the credentials ({code} {reason}); check username and credential, and that they have not expired"
    )]
    Credentials { code: u16, reason: String },
    #[error(
        "unreachable: no answer from {address} within {waited_s} s; check that the server runs and that nothing blocks the way"
    )]
    NoAnswer { address: SocketAddr, waited_s: u64 },
    #[error("unreachable: {reason}")]
    Unreachable { reason: String },
    #[error("TLS failed: {reason}; is it a TLS port, and its certificate one that is trusted here?")]
    Tls { reason: String },
    #[error("the server refused an allocation ({code} {reason}); {advice}")]
    Refused {
        code: u16,
        reason: String,
        advice: &'static str,
    },
    #[error("the server speaks no proper TURN: {reason}")]
    Protocol { reason: &'static str },
}

/// What to do about the error codes of RFC 8656 section 19.
const ADVICE: &[(u16, &str)] = &[
    (
        300,
        "it sends us to another server, and that one back or further on: use the address of one that allocates",
    ),
    (403, "its policy forbids it: see its configuration"),
    (437, "the allocation is not the server's any more"),
    (440, "it has no relay addresses of this family"),
    (442, "it relays no UDP"),
    (
        486,
        "this user has as many as it may have: close some, or raise the quota",
    ),
    (508, "its relay ports are used up"),
];

impl ServerError {
    pub(crate) fn refused((code, reason): (u16, String)) -> ServerError {
        if matches!(code, 401 | 441) {
            return ServerError::Credentials { code, reason };
        }
        let advice = ADVICE.iter().find(|(known, _)| *known == code);
        ServerError::Refused {
            code,
            reason,
            advice: advice.map_or("see the server's log", |(_, advice)| advice),
        }
    }
}
