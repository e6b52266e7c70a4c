//! Behaviour of the audio half, in virtual time and with seeded randomness.

mod capture_queue;
mod frame_ring;
mod jitter;
mod opus;
mod resampler;
mod signal;
