//! The command line.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::participant::Access;

const USAGE: &str = "usage: greenroom-load --server 127.0.0.1:7880 --key KEY --secret SECRET --pid SERVER_PID \
     --scenario audio|video|gallery [--room NAME] [--publishers 10] [--others 50] [--seconds 10]";

/// What the command line asks for.
pub struct Options {
    pub server: SocketAddr,
    pub key: String,
    pub secret: String,
    pub room: String,
    /// Whose use of processor and memory is measured.
    pub pid: String,
    pub scenario: String,
    pub publishers: usize,
    pub others: usize,
    pub time: Duration,
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> io::Result<Options> {
        let mut values = HashMap::new();
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let name = name.strip_prefix("--").ok_or_else(|| wrong(&name))?.to_owned();
            let value = arguments.next().ok_or_else(|| wrong(&name))?;
            values.insert(name, value);
        }
        let mut take = |name: &str, default: Option<&str>| {
            let value = values.remove(name).or_else(|| default.map(str::to_owned));
            value.ok_or_else(|| wrong(name))
        };
        let options = Options {
            server: number(&take("server", None)?)?,
            key: take("key", None)?,
            secret: take("secret", None)?,
            room: take("room", Some("load"))?,
            pid: take("pid", None)?,
            scenario: take("scenario", None)?,
            publishers: number(&take("publishers", Some("10"))?)?,
            others: number(&take("others", Some("50"))?)?,
            time: Duration::from_secs_f64(number(&take("seconds", Some("10"))?)?),
        };
        match values.into_keys().next() {
            Some(unknown) => Err(wrong(&unknown)),
            None => Ok(options),
        }
    }

    pub fn access(&self) -> Access {
        Access {
            server: self.server,
            key: self.key.clone(),
            secret: self.secret.clone(),
            room: self.room.clone(),
        }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(format!("{what}: missing, or not understood\n{USAGE}"))
}

fn number<T: FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| wrong(text))
}
