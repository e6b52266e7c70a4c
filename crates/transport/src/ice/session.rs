//! One pair of ICE credentials with its agent.

use aws_lc_rs::{hmac, rand};
use is::{Candidate, IceAgent, IceCreds, Sha1HmacProvider};

use super::candidate::LocalCandidate;
use crate::types::{IceCredentials, Protocol};

const MAX_PAIRS: usize = 64;
const UFRAG_CHARACTERS: usize = 16;
const PWD_CHARACTERS: usize = 32;

/// HMAC-SHA1 of the cryptographic library everything else uses.
#[derive(Debug)]
struct Hmac;

impl Sha1HmacProvider for Hmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = hmac::Context::with_key(&key);
        for payload in payloads {
            context.update(payload);
        }
        let mut output = [0; 20];
        output.copy_from_slice(context.sign().as_ref());
        output
    }
}

/// One pair of credentials and its checks.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) agent: IceAgent,
    pub(super) credentials: IceCredentials,
    pub(super) remote: Option<(String, String)>,
    pub(super) remote_candidates: usize,
    pub(super) checked_addresses: usize,
    pub(super) has_path: bool,
}

impl Session {
    pub(super) fn new(credentials: IceCredentials, controlling: bool, local: &[LocalCandidate]) -> Session {
        let creds = IceCreds {
            ufrag: credentials.ufrag.clone(),
            pass: credentials.pwd.clone(),
        };
        let mut agent = IceAgent::with_hmac(creds, &Hmac);
        agent.set_controlling(controlling);
        agent.set_max_candidate_pairs(MAX_PAIRS);
        agent.set_local_preference(local_preference);
        let mut session = Session {
            agent,
            credentials,
            remote: None,
            remote_candidates: 0,
            checked_addresses: 0,
            has_path: false,
        };
        local.iter().for_each(|candidate| session.add_local(candidate));
        session
    }

    pub(super) fn add_local(&mut self, local: &LocalCandidate) {
        let candidate = match local.protocol {
            Protocol::Udp => Candidate::host(local.address, is::Protocol::Udp),
            Protocol::Tcp => Candidate::host(local.address, is::Protocol::Tcp),
        };
        match candidate {
            Ok(candidate) => {
                self.agent.add_local_candidate(candidate);
            }
            Err(error) => log::warn!("local ICE candidate {} is not usable: {error}", local.address),
        }
    }

    pub(super) fn set_remote(&mut self, ufrag: &str, pwd: &str) {
        self.remote = Some((ufrag.to_owned(), pwd.to_owned()));
        self.agent.set_remote_credentials(IceCreds {
            ufrag: ufrag.to_owned(),
            pass: pwd.to_owned(),
        });
    }

    pub(super) fn is_remote(&self, ufrag: &str, pwd: &str) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|(ours, secret)| ours == ufrag && secret == pwd)
    }
}

/// UDP before TCP, earlier candidates before later ones, IPv6 before IPv4 (RFC 8421).
fn local_preference(candidate: &Candidate, same_kind: usize) -> u32 {
    let protocol = if candidate.proto() == is::Protocol::Udp {
        32_768
    } else {
        0
    };
    let order = 1000u32.saturating_sub(same_kind as u32) * 2;
    protocol + order + u32::from(candidate.addr().is_ipv6())
}

/// Credentials of enough entropy (RFC 8445 section 5.3), from the cryptographic generator.
pub(super) fn random_credentials() -> IceCredentials {
    IceCredentials {
        ufrag: random_text(UFRAG_CHARACTERS),
        pwd: random_text(PWD_CHARACTERS),
    }
}

fn random_text(characters: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; characters];
    // Without randomness there is nothing safe to continue with; the generator of a running
    // system does not fail.
    rand::fill(&mut bytes).expect("the random number generator of the system works");
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_credentials_have_the_lengths_of_rfc_8445() {
        let credentials = random_credentials();
        assert_eq!(credentials.ufrag.len(), UFRAG_CHARACTERS);
        assert_eq!(credentials.pwd.len(), PWD_CHARACTERS);
        assert_ne!(credentials, random_credentials());
    }
}
