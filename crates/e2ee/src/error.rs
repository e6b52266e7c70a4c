//! What can go wrong. No message holds key material.

/// Why something was not encrypted or decrypted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptError {
    #[error("there is no key at index {index}; set one with KeyProvider.set_key or set_shared_key")]
    MissingKey { index: u8 },
    #[error("the key at index {index} is being derived")]
    KeyNotReady { index: u8 },
    #[error("the key at index {index} failed too often; set a new one")]
    InvalidKey { index: u8 },
    #[error("this is not encrypted ({bytes} bytes, without the trailer)")]
    NotSealed { bytes: usize },
    #[error("the key at index {index} does not open this, nor a key ratcheted from it")]
    WrongKey { index: u8 },
    #[error("the server's frame is not one of the known blank frames")]
    UnknownServerFrame,
    #[error("{name} is {value}, which is not {allowed}")]
    Option {
        name: &'static str,
        value: i64,
        allowed: &'static str,
    },
    #[error("the cipher refused {bytes} bytes")]
    Cipher { bytes: usize },
}

pub type Result<T> = std::result::Result<T, CryptError>;
