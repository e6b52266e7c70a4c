//! How others talk to an endpoint of the simulation.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use greenroom_net::Endpoint;

use crate::simulator::{Command, Shared};

/// As the handle of a worker's endpoint. Clones reach the same endpoint; dropping them does not close it.
pub struct EndpointHandle<E> {
    shared: Arc<Shared>,
    key: u32,
    gone: Arc<AtomicBool>,
    endpoint: PhantomData<fn(&mut E)>,
}

impl<E> Clone for EndpointHandle<E> {
    fn clone(&self) -> EndpointHandle<E> {
        EndpointHandle {
            shared: Arc::clone(&self.shared),
            key: self.key,
            gone: Arc::clone(&self.gone),
            endpoint: PhantomData,
        }
    }
}

impl<E: Endpoint> EndpointHandle<E> {
    pub(crate) fn new(shared: Arc<Shared>, key: u32, gone: Arc<AtomicBool>) -> EndpointHandle<E> {
        EndpointHandle {
            shared,
            key,
            gone,
            endpoint: PhantomData,
        }
    }

    /// Run `f` on the endpoint before time goes on, after everything posted before it. False when it is gone.
    pub fn post(&self, f: impl FnOnce(&mut E, Instant) + Send + 'static) -> bool {
        if self.is_closed() {
            return false;
        }
        let work = Box::new(move |endpoint: &mut dyn std::any::Any, now| {
            if let Some(endpoint) = endpoint.downcast_mut::<E>() {
                f(endpoint, now);
            }
        });
        self.shared.send(Command::Run(self.key, work));
        true
    }

    /// Run `f` on the endpoint now, after everything posted before it. None when the endpoint is gone, or when an
    /// endpoint calls: that one is to post.
    pub fn call<R>(&self, f: impl FnOnce(&mut E, Instant) -> R) -> Option<R> {
        if self.is_closed() {
            return None;
        }
        let Ok(mut world) = self.shared.world.try_lock() else {
            log::error!(
                "endpoint {}: call() from within an endpoint is refused; use post()",
                self.key
            );
            return None;
        };
        world.run_commands(&self.shared);
        world.call(&self.shared, self.key, f)
    }

    /// Drop the endpoint after what was posted before and a last `poll_transmit`. Harmless twice.
    pub fn close(&self) {
        self.gone.store(true, Ordering::Release);
        self.shared.send(Command::Close(self.key));
    }

    /// As `close`, and its addresses are free when this returns.
    pub fn close_and_wait(&self) {
        self.close();
        if let Ok(mut world) = self.shared.world.try_lock() {
            world.run_commands(&self.shared);
        }
    }

    /// Whether it was closed or has failed.
    pub fn is_closed(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}
