//! What drives the objects of one event port: the worker threads, or a simulator.

use std::net::IpAddr;
use std::time::Instant;

use greenroom_net::{Endpoint, Engine};
use greenroom_sim::Simulator;

/// Chosen by the event port that an object is made with.
#[derive(Clone)]
pub enum Driver {
    Threads,
    /// With the address of the simulated host that the objects are on.
    Simulator(Simulator, IpAddr),
}

impl Driver {
    pub fn now(&self) -> Instant {
        match self {
            Driver::Threads => Instant::now(),
            Driver::Simulator(simulator, _) => simulator.now(),
        }
    }

    /// Call back every 10 ms with the time and the number of ticks; false ends it.
    pub fn every_tick(&self, callback: Box<dyn FnMut(Instant, u32) -> bool + Send>) {
        match self {
            Driver::Threads => Engine::global().media_clock().register(callback),
            Driver::Simulator(simulator, _) => simulator.every_tick(callback),
        }
    }

    /// Run a media job soon.
    pub fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        match self {
            Driver::Threads => {
                Engine::global().media_pool().submit(job);
            }
            Driver::Simulator(simulator, _) => simulator.submit(job),
        }
    }
}

/// The way to an endpoint, wherever it lives.
pub enum EndpointHandle<E> {
    OnWorker(greenroom_net::EndpointHandle<E>),
    Simulated(greenroom_sim::EndpointHandle<E>),
}

impl<E> Clone for EndpointHandle<E> {
    fn clone(&self) -> Self {
        match self {
            EndpointHandle::OnWorker(handle) => EndpointHandle::OnWorker(handle.clone()),
            EndpointHandle::Simulated(handle) => EndpointHandle::Simulated(handle.clone()),
        }
    }
}

impl<E: Endpoint> EndpointHandle<E> {
    pub fn post(&self, f: impl FnOnce(&mut E, Instant) + Send + 'static) -> bool {
        match self {
            EndpointHandle::OnWorker(handle) => handle.post(f),
            EndpointHandle::Simulated(handle) => handle.post(f),
        }
    }

    /// Have it look for what another thread has put somewhere for it.
    pub fn wake(&self) -> bool {
        match self {
            EndpointHandle::OnWorker(handle) => handle.wake(),
            EndpointHandle::Simulated(handle) => handle.post(E::woken),
        }
    }

    pub fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut E, Instant) -> R + Send + 'static,
    ) -> Option<R> {
        match self {
            EndpointHandle::OnWorker(handle) => handle.call(f),
            EndpointHandle::Simulated(handle) => handle.call(f),
        }
    }

    pub fn close(&self) {
        match self {
            EndpointHandle::OnWorker(handle) => handle.close(),
            EndpointHandle::Simulated(handle) => handle.close(),
        }
    }

    pub fn close_and_wait(&self) {
        match self {
            EndpointHandle::OnWorker(handle) => handle.close_and_wait(),
            EndpointHandle::Simulated(handle) => handle.close_and_wait(),
        }
    }

    pub fn is_closed(&self) -> bool {
        match self {
            EndpointHandle::OnWorker(handle) => handle.is_closed(),
            EndpointHandle::Simulated(handle) => handle.is_closed(),
        }
    }
}
