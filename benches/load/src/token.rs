//! Tokens that join a room: a JSON Web Token signed with HMAC-SHA-256.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

const LIFE_S: u64 = 3_600;

/// A token for `identity` in `room`. The names are the load's own, so nothing in them needs escaping.
pub fn join_token(key: &str, secret: &str, room: &str, identity: &str) -> String {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let expires_s = now_s + LIFE_S;
    let claims = format!(
        r#"{{"iss":"{key}","sub":"{identity}","exp":{expires_s},"video":{{"roomJoin":true,"room":"{room}"}}}}"#
    );
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(claims.as_bytes()));
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        signed.as_bytes(),
    );
    format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}
