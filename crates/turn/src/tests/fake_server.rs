//! As much of a TURN server as the tests need: one client, one allocation; what is relayed comes back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::message::{Class, Key, Message, Method, Writer, attribute};

const REALM: &str = "example.org";

/// The client's address as the server sees it.
pub fn mapped() -> SocketAddr {
    "203.0.113.5:61000".parse().unwrap()
}

/// What the server does about allocations.
#[derive(Clone, Copy, PartialEq)]
pub enum Answer {
    Normal,
    WrongPassword,
    Error(u16, &'static str),
    /// Go to another server.
    Elsewhere(&'static str),
    NoAddress,
    Silence,
}

pub struct FakeServer {
    pub answer: Answer,
    pub stale_nonces: u32,
    pub relayed_datagrams: Vec<Vec<u8>>,
    lifetime_s: u32,
    /// Requests that each nonce is good for.
    nonce_life: u32,
    nonce_uses: u32,
    nonce: u32,
    alive_until: Option<Instant>,
    channels: HashMap<u16, (SocketAddr, Instant)>,
}

impl FakeServer {
    pub fn new() -> FakeServer {
        FakeServer {
            answer: Answer::Normal,
            stale_nonces: 0,
            relayed_datagrams: Vec::new(),
            lifetime_s: 600,
            nonce_life: u32::MAX,
            nonce_uses: 0,
            nonce: 0,
            alive_until: None,
            channels: HashMap::new(),
        }
    }

    pub fn with_lifetime(self, lifetime_s: u32) -> FakeServer {
        FakeServer { lifetime_s, ..self }
    }

    pub fn with_nonce_life(self, nonce_life: u32) -> FakeServer {
        FakeServer { nonce_life, ..self }
    }

    pub fn with_answer(self, answer: Answer) -> FakeServer {
        FakeServer { answer, ..self }
    }

    pub fn relayed(&self) -> SocketAddr {
        "192.0.2.1:50000".parse().unwrap()
    }

    pub fn is_alive(&self, now: Instant) -> bool {
        self.alive_until.is_some_and(|until| until > now)
    }

    /// Data of a peer without a channel.
    pub fn indication(&self, peer: SocketAddr, contents: &[u8]) -> Vec<u8> {
        Writer::new(Class::Indication, Method::Data, [1; 12])
            .xor_address(attribute::XOR_PEER_ADDRESS, peer)
            .attribute(attribute::DATA, contents)
            .finish(None)
    }

    pub fn handle(&mut self, now: Instant, bytes: &[u8]) -> Vec<Vec<u8>> {
        if self.answer == Answer::Silence {
            return Vec::new();
        }
        if let [high @ 0x40..=0x4F, low, _, _, contents @ ..] = bytes {
            let channel = self.channels.get(&u16::from_be_bytes([*high, *low]));
            if self.is_alive(now) && channel.is_some_and(|(_, until)| *until > now) {
                self.relayed_datagrams.push(contents.to_vec());
                return vec![bytes.to_vec()];
            }
            return Vec::new();
        }
        let message = Message::parse(bytes).expect("the client sends proper messages");
        assert_eq!(message.class, Class::Request);
        let answer = |class| Writer::new(class, message.method, message.transaction);
        if message.method == Method::Binding {
            let writer = answer(Class::Success).xor_address(attribute::XOR_MAPPED_ADDRESS, mapped());
            return vec![writer.finish(None)];
        }
        let password = match self.answer {
            Answer::WrongPassword => "another",
            _ => "secret",
        };
        let key = Key::long_term("user", REALM, password);
        if !message.is_authentic(&key) {
            return vec![self.error(&message, 401, "Unauthorized", None)];
        }
        let fresh = message.text(attribute::NONCE) == Some(&self.nonce.to_string());
        if self.nonce_uses >= self.nonce_life {
            self.nonce += 1;
            self.nonce_uses = 0;
        }
        if !fresh || self.nonce_life == 0 {
            self.stale_nonces += 1;
            return vec![self.error(&message, 438, "Stale Nonce", Some(&key))];
        }
        self.nonce_uses += 1;
        if let Answer::Elsewhere(server) = self.answer {
            return vec![Self::alternate(&message, server, Some(&key))];
        }
        if let Answer::Error(code, reason) = self.answer {
            return vec![self.error(&message, code, reason, Some(&key))];
        }
        vec![
            self.perform(now, &message, answer(Class::Success))
                .finish(Some(&key)),
        ]
    }

    fn perform(&mut self, now: Instant, message: &Message<'_>, writer: Writer) -> Writer {
        let lifetime = |lifetime_s: u32| now + Duration::from_secs(lifetime_s.into());
        match message.method {
            Method::Allocate => {
                assert_eq!(
                    message.attribute(attribute::REQUESTED_TRANSPORT),
                    Some(&[17, 0, 0, 0][..])
                );
                self.alive_until = Some(lifetime(self.lifetime_s));
                let writer = writer.attribute(attribute::LIFETIME, &self.lifetime_s.to_be_bytes());
                let writer = writer.xor_address(attribute::XOR_MAPPED_ADDRESS, mapped());
                match self.answer {
                    Answer::NoAddress => writer,
                    _ => writer.xor_address(attribute::XOR_RELAYED_ADDRESS, self.relayed()),
                }
            }
            Method::Refresh => {
                let asked = message.number(attribute::LIFETIME).unwrap();
                let granted = asked.min(self.lifetime_s);
                self.alive_until = self.is_alive(now).then(|| lifetime(granted));
                writer.attribute(attribute::LIFETIME, &granted.to_be_bytes())
            }
            Method::ChannelBind => {
                let number = message.attribute(attribute::CHANNEL_NUMBER).unwrap();
                let number = u16::from_be_bytes([number[0], number[1]]);
                let peer = message.xor_address(attribute::XOR_PEER_ADDRESS).unwrap();
                // The permission ends first.
                self.channels.insert(number, (peer, lifetime(300)));
                writer
            }
            Method::Binding | Method::Data => unreachable!(),
        }
    }

    /// RFC 8489 section 14.15: the address is not XORed.
    pub fn alternate(message: &Message<'_>, server: &str, key: Option<&Key>) -> Vec<u8> {
        let server: SocketAddr = server.parse().unwrap();
        let SocketAddr::V4(address) = server else {
            unreachable!()
        };
        let port = address.port().to_be_bytes();
        let value = [&[0, 1], &port[..], &address.ip().octets()].concat();
        Writer::new(Class::Error, message.method, message.transaction)
            .attribute(attribute::ERROR_CODE, b"\0\0\x03\0Try Alternate")
            .attribute(attribute::ALTERNATE_SERVER, &value)
            .finish(key)
    }

    fn error(&self, message: &Message<'_>, code: u16, reason: &str, key: Option<&Key>) -> Vec<u8> {
        let value = [&[0, 0, (code / 100) as u8, (code % 100) as u8], reason.as_bytes()].concat();
        Writer::new(Class::Error, message.method, message.transaction)
            .attribute(attribute::ERROR_CODE, &value)
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, self.nonce.to_string().as_bytes())
            .finish(key)
    }
}
