//! What becomes of one datagram on one link.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How much longer a datagram that is overtaken takes.
const OVERTAKEN_BY: Duration = Duration::from_millis(25);

/// What one direction of one host's link does to what crosses it. Probabilities are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// How long everything takes.
    pub delay: Duration,
    /// How much longer some take, at most; the order stays.
    pub jitter: Duration,
    /// Probability that a datagram is lost.
    pub loss: f64,
    /// Probability that a datagram arrives twice.
    pub duplicate: f64,
    /// Probability that later ones overtake a datagram.
    pub reorder: f64,
    /// Nothing passes.
    pub blackhole: bool,
    /// What passes at most, in bits per second; 0: any amount. What is more waits.
    pub bitrate_bps: u64,
    /// How long the queue before a limited link may be; what finds no room is lost.
    pub queue: Duration,
}

impl Default for Faults {
    /// A good line: 5 ms and no faults.
    fn default() -> Faults {
        Faults {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            blackhole: false,
            bitrate_bps: 0,
            queue: Duration::from_millis(300),
        }
    }
}

/// Where and when copies of a datagram arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Lost,
    Arrives {
        after: Duration,
        twice: bool,
        overtaken: bool,
    },
}

/// The links that a datagram crosses, in order. `dice` gives the same numbers for the same datagram.
pub(crate) fn fate<'a>(links: impl IntoIterator<Item = &'a Faults>, dice: &mut Dice) -> Fate {
    let (mut after, mut twice, mut overtaken) = (Duration::ZERO, false, false);
    for link in links {
        let (lost, doubled, late, jitter) = (dice.unit(), dice.unit(), dice.unit(), dice.unit());
        if link.blackhole || lost < link.loss {
            return Fate::Lost;
        }
        twice |= doubled < link.duplicate;
        after += link.delay + link.jitter.mul_f64(jitter);
        if late < link.reorder {
            overtaken = true;
            after += OVERTAKEN_BY;
        }
    }
    Fate::Arrives {
        after,
        twice,
        overtaken,
    }
}

/// Random numbers that depend on nothing but what they are for (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// For datagram `number` of one flow: what other flows do changes nothing.
    pub(crate) fn new(seed: u64, source: SocketAddr, destination: SocketAddr, number: u64) -> Dice {
        let mut hash = Fnv::default();
        hash.address(source);
        hash.address(destination);
        let state = seed ^ hash.value() ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut dice = Dice { state };
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A hash that is the same in every run (FNV-1a), unlike the standard library's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xCBF2_9CE4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    pub(crate) fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.bytes(&address.port().to_be_bytes());
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(number: u64) -> Dice {
        let (source, destination) = (
            SocketAddr::from(([10, 0, 0, 1], 1)),
            SocketAddr::from(([10, 0, 0, 2], 2)),
        );
        Dice::new(7, source, destination, number)
    }

    #[test]
    fn probabilities_are_met_and_repeat() {
        let link = Faults {
            loss: 0.1,
            duplicate: 0.05,
            reorder: 0.02,
            ..Faults::default()
        };
        let fates: Vec<Fate> = (0..20_000)
            .map(|number| fate([&link], &mut dice(number)))
            .collect();
        let share =
            |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count() as f64 / 20_000.0;
        let lost = share(|fate| *fate == Fate::Lost);
        let twice = share(|fate| matches!(fate, Fate::Arrives { twice: true, .. }));
        let overtaken = share(|fate| matches!(fate, Fate::Arrives { overtaken: true, .. }));
        assert!((lost - 0.1).abs() < 0.01, "{lost}");
        assert!((twice - 0.045).abs() < 0.01, "{twice}");
        assert!((overtaken - 0.018).abs() < 0.01, "{overtaken}");
        let again: Vec<Fate> = (0..20_000)
            .map(|number| fate([&link], &mut dice(number)))
            .collect();
        assert_eq!(fates, again);
    }

    #[test]
    fn delays_of_all_links_add_up_and_a_blackhole_takes_everything() {
        let good = Faults::default();
        let arrives = Fate::Arrives {
            after: Duration::from_millis(10),
            twice: false,
            overtaken: false,
        };
        assert_eq!(fate([&good, &good], &mut dice(1)), arrives);
        let hole = Faults {
            blackhole: true,
            ..good
        };
        assert_eq!(fate([&good, &hole], &mut dice(1)), Fate::Lost);
    }
}
