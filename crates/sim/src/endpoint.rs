//! One endpoint in the simulation.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use greenroom_net::Endpoint;

use crate::network::Bound;

/// Deadlines in the past that an endpoint may give at one instant; time would stand still for more.
const MAX_TIMEOUTS_AT_ONCE: u32 = 100;
const RESTRAINT_NS: u64 = 1_000_000;

/// An endpoint whose type only its handles know.
pub(crate) trait AnyEndpoint: Endpoint {
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<E: Endpoint> AnyEndpoint for E {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

pub(crate) struct Slot {
    endpoint: Box<dyn AnyEndpoint>,
    failure: Option<String>,
    gone: Arc<AtomicBool>,
    _sockets: Bound,
    pub(crate) deadline_ns: Option<u64>,
    timeouts_at: (u64, u32),
    pub(crate) touched: bool,
}

impl Slot {
    pub(crate) fn new(endpoint: Box<dyn AnyEndpoint>, gone: Arc<AtomicBool>, sockets: Bound) -> Slot {
        Slot {
            endpoint,
            failure: None,
            gone,
            _sockets: sockets,
            deadline_ns: None,
            timeouts_at: (0, 0),
            touched: false,
        }
    }

    /// Not once it has failed; a panic fails it.
    pub(crate) fn call<R>(&mut self, f: impl FnOnce(&mut dyn AnyEndpoint) -> R) -> Option<R> {
        if self.failure.is_some() {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| f(self.endpoint.as_mut()))) {
            Ok(result) => Some(result),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                let text = text.unwrap_or_else(|| "unknown".to_owned());
                self.failure = Some(format!("internal error (please report it): {text}"));
                None
            }
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// When to call `handle_timeout`, for a deadline that the endpoint has given at `now_ns`.
    pub(crate) fn arm(&mut self, deadline_ns: Option<u64>, now_ns: u64) {
        let Some(deadline_ns) = deadline_ns else {
            self.deadline_ns = None;
            return;
        };
        if deadline_ns > now_ns {
            self.deadline_ns = Some(deadline_ns);
            return;
        }
        let (instant, count) = self.timeouts_at;
        let count = if instant == now_ns { count + 1 } else { 1 };
        self.timeouts_at = (now_ns, count);
        self.deadline_ns = Some(if count > MAX_TIMEOUTS_AT_ONCE {
            now_ns + RESTRAINT_NS
        } else {
            now_ns
        });
    }

    /// Tell the endpoint if it has failed, and drop it with its sockets.
    pub(crate) fn destroy(mut self) {
        self.gone.store(true, Ordering::Release);
        if let Some(reason) = self.failure.take() {
            log::error!("endpoint failed: {reason}");
            self.call(|endpoint| endpoint.failed(&reason));
        }
        if catch_unwind(AssertUnwindSafe(|| drop(self))).is_err() {
            log::error!("an endpoint panicked when it was dropped");
        }
    }
}
