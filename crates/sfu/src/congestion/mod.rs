//! How much a subscriber's connection takes, estimated from what it says about the packets it got.
//!
//! Sans-IO: sent packets and feedback messages in, an estimate in bits per second and padding to send out.
//! The principle: an estimate is a measurement. While packets stand in a queue, or are lost in numbers, the link is
//! full, and the rate at which they arrive is its capacity; the estimate is a little less, so that the queue drains.
//! Nothing is concluded from a link that is not full, so there is no estimate until it was full once. Whether there is
//! more room than was measured is found out by sending more: padding, for a moment, when a track would get better by it.

mod arrivals;
mod base_delay;
mod estimator;
mod feedback;
#[cfg(test)]
mod link_tests;
mod loss;
mod probe;
mod remb;
mod sent_packets;

pub use self::estimator::Estimator;
pub use self::feedback::FeedbackReader;
pub use self::remb::RembEstimate;
pub use self::sent_packets::SentPackets;
