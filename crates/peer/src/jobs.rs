//! Work that is too long for the packet path: encoding and decoding pictures.
//!
//! A job owns its encoder or decoder while it runs and gives it back through the [`Inbox`], so nothing is
//! shared and there is at most one job per codec. A job that panics or is thrown away still reports, by its
//! [`Ticket`]'s drop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use greenroom_media::video::{EncodedFrame, VideoDecoder, VideoEncoder};

/// Runs jobs, some time soon, on any thread. Tests run them inline.
pub trait JobRunner: Send + Sync {
    /// A runner that is full may drop the job; its ticket reports that.
    fn submit(&self, job: Box<dyn FnOnce() + Send>);
}

/// Called when results wait: make `Peer::handle_timeout` happen soon.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Which codec a result belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobKey {
    /// Unique per sender or receiver ever made on this peer.
    pub owner: u64,
    /// The layer of a sender.
    pub layer: usize,
}

pub(crate) struct Encoded {
    pub encoder: Option<Box<dyn VideoEncoder>>,
    pub frame: Result<Option<EncodedFrame>, String>,
    pub width: u32,
    pub height: u32,
    pub rtp_time: u64,
    pub captured_at: Instant,
}

pub(crate) struct Decoded {
    pub decoder: Option<Box<dyn VideoDecoder>>,
    pub frames: u64,
    pub key_frames: u64,
    pub size: Option<(u32, u32)>,
    pub error: Option<String>,
}

pub(crate) enum Outcome {
    Encoded(Encoded),
    Decoded(Decoded),
    /// The job panicked or never ran.
    Lost,
}

/// Results on their way back. Bounded by one per codec.
#[derive(Default)]
pub(crate) struct Inbox(Mutex<Vec<(JobKey, Outcome)>>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Vec<(JobKey, Outcome)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub fn take(&self) -> Vec<(JobKey, Outcome)> {
        std::mem::take(&mut *self.lock())
    }
}

/// The duty to report once.
pub(crate) struct Ticket {
    key: JobKey,
    inbox: Arc<Inbox>,
    wake: Wake,
    outcome: Option<Outcome>,
}

impl Ticket {
    pub fn finish(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or(Outcome::Lost);
        self.inbox.lock().push((self.key, outcome));
        (self.wake)();
    }
}

/// A peer's way to its job runner.
#[derive(Clone)]
pub(crate) struct Jobs {
    runner: Arc<dyn JobRunner>,
    wake: Wake,
    pub inbox: Arc<Inbox>,
}

impl Jobs {
    pub fn new(runner: Arc<dyn JobRunner>, wake: Wake) -> Self {
        Self {
            runner,
            wake,
            inbox: Arc::default(),
        }
    }

    pub fn submit(&self, key: JobKey, work: impl FnOnce() -> Outcome + Send + 'static) {
        let ticket = Ticket {
            key,
            inbox: self.inbox.clone(),
            wake: self.wake.clone(),
            outcome: None,
        };
        self.runner.submit(Box::new(move || {
            let outcome = work();
            ticket.finish(outcome);
        }));
    }
}
