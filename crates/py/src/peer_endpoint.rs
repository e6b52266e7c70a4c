//! A client peer on its worker thread, and how other threads reach it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use greenroom_net::{
    Endpoint, Engine, EventPort, Payload, Protocol, Received, SocketEvent, Sockets, TransmitQueue,
};
use greenroom_peer::{JobRunner, Peer, PeerConfig, PeerEvent};
use greenroom_sim::Simulator;

use crate::data_track::DataTracks;
use crate::driver::{Driver, EndpointHandle};
use crate::event_kinds;
use crate::peer_sockets::{Gathering, PeerSockets};

/// Adapts the peer to the worker that drives it.
pub struct PeerEndpoint {
    pub peer: Peer,
    port: EventPort,
    driver: Driver,
    handle: u64,
    data_tracks: DataTracks,
    sockets: PeerSockets,
}

impl PeerEndpoint {
    /// Tell the owner what happened.
    fn report(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            if !self.push(event) {
                // The owner does not read its events: the port has told it that this failed.
                self.peer.close(self.driver.now());
            }
        }
    }

    fn push(&self, event: PeerEvent) -> bool {
        let (kind, payload) = match event {
            PeerEvent::IceState(state) => (event_kinds::ICE_STATE, Payload::Text(state.into())),
            PeerEvent::Connected => (event_kinds::CONNECTED, Payload::None),
            PeerEvent::LocalCandidate(line) => (event_kinds::LOCAL_CANDIDATE, Payload::Text(line)),
            PeerEvent::Failed(reason) => (event_kinds::FAILED, Payload::Text(reason)),
            PeerEvent::ChannelOpen(channel, label) => {
                self.data_tracks.opened(channel, &label);
                (event_kinds::CHANNEL_OPEN, Payload::Channel(channel, label))
            }
            PeerEvent::ChannelMessage(channel, data) => {
                if self.data_tracks.take(channel, &data) {
                    return true;
                }
                (event_kinds::CHANNEL_MESSAGE, Payload::Message(channel, data))
            }
            PeerEvent::ChannelClosed(channel) => {
                self.data_tracks.closed(channel);
                (event_kinds::CHANNEL_CLOSED, Payload::Integer(channel.into()))
            }
            PeerEvent::ChannelWritable(channel) => {
                (event_kinds::CHANNEL_WRITABLE, Payload::Integer(channel.into()))
            }
            PeerEvent::ReceiverStarted(receiver) => {
                self.port
                    .push(receiver, event_kinds::RECEIVER_STARTED, Payload::None);
                return true;
            }
        };
        self.port.push(self.handle, kind, payload)
    }

    fn close(&mut self, now: Instant) {
        self.peer.close(now);
    }
}

impl Endpoint for PeerEndpoint {
    fn handle_datagram(&mut self, now: Instant, received: Received<'_>) {
        let Received {
            protocol,
            source,
            destination,
            contents,
        } = received;
        match protocol {
            Protocol::Udp => self.peer.handle_datagram(now, source, destination, contents),
            Protocol::Tcp => self.peer.handle_tcp(now, source, destination, contents),
            Protocol::Stream => self.peer.handle_stream(now, source, destination, contents),
        }
        self.report();
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        self.sockets.handle_timeout(now);
        self.report();
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let timeouts = [self.peer.poll_timeout(), self.sockets.poll_timeout()];
        timeouts.into_iter().flatten().min()
    }

    fn poll_transmit(&mut self, out: &mut TransmitQueue) {
        let PeerEndpoint {
            peer,
            sockets,
            driver,
            ..
        } = self;
        sockets.poll(peer, || driver.now(), out);
    }

    fn handle_socket(&mut self, now: Instant, event: SocketEvent) {
        if let SocketEvent::Addresses(addresses) = &event {
            let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let payload = Payload::Text(all.join(" "));
            self.port
                .push(self.handle, event_kinds::ADDRESSES_CHANGED, payload);
        }
        for line in self.sockets.handle(&mut self.peer, event, now) {
            self.push(PeerEvent::LocalCandidate(line));
        }
        self.report();
    }

    fn failed(&mut self, reason: &str) {
        let was_open = self.peer.is_open();
        self.peer.close(self.driver.now());
        if was_open {
            self.port
                .push(self.handle, event_kinds::FAILED, Payload::Text(reason.into()));
        }
    }
}

impl Drop for PeerEndpoint {
    fn drop(&mut self) {
        // However it ends, the streams of its receivers do.
        self.peer.close(self.driver.now());
        self.port.forget(self.handle);
    }
}

enum State {
    /// Without sockets yet: driven on the caller's thread.
    Local(Box<PeerEndpoint>),
    Running(EndpointHandle<PeerEndpoint>),
    Closed,
}

impl State {
    /// Hand what was local to a worker.
    fn run(&mut self, sockets: Sockets) -> Result<(), String> {
        if let State::Local(endpoint) = std::mem::replace(self, State::Closed) {
            let handle = Engine::global().spawn(sockets, move |_| *endpoint);
            let handle = handle.map_err(|error| error.to_string())?;
            *self = State::Running(EndpointHandle::OnWorker(handle));
        }
        Ok(())
    }
}

/// A peer wherever it is.
pub struct PeerBackend {
    driver: Driver,
    state: Mutex<State>,
    wake_pending: AtomicBool,
}

struct PoolRunner(Driver);

impl JobRunner for PoolRunner {
    fn submit(&self, job: Box<dyn FnOnce() + Send>) {
        self.0.submit(job);
    }
}

impl PeerBackend {
    pub fn new(
        config: &PeerConfig,
        port: EventPort,
        driver: Driver,
        handle: u64,
        data_tracks: DataTracks,
    ) -> greenroom_peer::Result<Arc<Self>> {
        let backend = Arc::new(Self {
            driver: driver.clone(),
            state: Mutex::new(State::Closed),
            wake_pending: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&backend);
        let peer = Peer::new(
            config,
            Arc::new(PoolRunner(driver.clone())),
            Arc::new(move || wake(&weak)),
            driver.now(),
        )?;
        *backend.lock() = State::Local(Box::new(PeerEndpoint {
            peer,
            port,
            driver,
            handle,
            data_tracks,
            sockets: PeerSockets::default(),
        }));
        Ok(backend)
    }

    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<EndpointHandle<PeerEndpoint>> {
        match &*self.lock() {
            State::Running(handle) => Some(handle.clone()),
            State::Local(_) | State::Closed => None,
        }
    }

    /// Run `f` on the peer, soon and in order. False when it is closed.
    pub fn post(&self, f: impl FnOnce(&mut Peer, Instant) + Send + 'static) -> bool {
        let handle = match &mut *self.lock() {
            State::Closed => return false,
            State::Running(handle) => handle.clone(),
            State::Local(endpoint) => {
                f(&mut endpoint.peer, self.driver.now());
                endpoint.report();
                return true;
            }
        };
        handle.post(move |endpoint, now| {
            f(&mut endpoint.peer, now);
            endpoint.report();
        })
    }

    /// Run `f` on the peer and wait for what it returns. None when it is closed. Without the GIL, please.
    pub fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Peer, Instant) -> R + Send + 'static,
    ) -> Option<R> {
        let handle = match &mut *self.lock() {
            State::Closed => return None,
            State::Running(handle) => handle.clone(),
            State::Local(endpoint) => {
                let result = f(&mut endpoint.peer, self.driver.now());
                endpoint.report();
                return Some(result);
            }
        };
        handle.call(move |endpoint, now| {
            let result = f(&mut endpoint.peer, now);
            endpoint.report();
            result
        })
    }

    /// Give the peer its sockets and a worker; the candidates that may be told as lines. None when it is closed, or has them already.
    pub fn start(&self, sockets: Sockets, gathering: Gathering) -> Option<Result<Vec<String>, String>> {
        let mut state = self.lock();
        let State::Local(endpoint) = &mut *state else {
            return None;
        };
        let addresses: Result<Vec<SocketAddr>, _> =
            sockets.udp.iter().map(|socket| socket.local_addr()).collect();
        let addresses = match addresses {
            Ok(addresses) => addresses,
            Err(error) => return Some(Err(error.to_string())),
        };
        let now = self.driver.now();
        let PeerEndpoint {
            peer, sockets: own, ..
        } = &mut **endpoint;
        let mut lines = match own.start(peer, gathering, &addresses, now) {
            Ok(lines) => lines,
            Err(error) => return Some(Err(error)),
        };
        lines.extend(own.offer_tcp(peer, now));
        Some(state.run(sockets).map(|()| lines))
    }

    /// As `start`, with sockets at these addresses that other peers use too, once the remote is known; their candidates
    /// are told by events then.
    pub fn start_sharing(
        &self,
        gathering: Gathering,
        addresses: Vec<IpAddr>,
    ) -> Option<Result<Vec<String>, String>> {
        let mut state = self.lock();
        let State::Local(endpoint) = &mut *state else {
            return None;
        };
        let PeerEndpoint { peer, sockets, .. } = &mut **endpoint;
        let lines = sockets.start_later(peer, gathering, addresses, self.driver.now());
        Some(state.run(Sockets::default()).map(|()| lines))
    }

    /// As `start`, on a host of a simulation.
    pub fn start_simulated(
        &self,
        simulator: &Simulator,
        address: IpAddr,
        gathering: Gathering,
    ) -> Option<Result<Vec<String>, String>> {
        let mut state = self.lock();
        let State::Local(endpoint) = &mut *state else {
            return None;
        };
        let sockets = match simulator.bind(&[address], 0) {
            Ok(sockets) => sockets,
            Err(error) => return Some(Err(error.to_string())),
        };
        let PeerEndpoint {
            peer, sockets: own, ..
        } = &mut **endpoint;
        let lines = match own.start(peer, gathering, sockets.addresses(), simulator.now()) {
            Ok(lines) => lines,
            Err(error) => return Some(Err(error)),
        };
        let State::Local(endpoint) = std::mem::replace(&mut *state, State::Closed) else {
            return None;
        };
        let handle = simulator.spawn(sockets, move |_| *endpoint);
        *state = State::Running(EndpointHandle::Simulated(handle));
        Some(Ok(lines))
    }

    pub fn is_closed(&self) -> bool {
        match &*self.lock() {
            State::Closed => true,
            State::Local(endpoint) => !endpoint.peer.is_open(),
            State::Running(handle) => handle.is_closed(),
        }
    }

    /// Say goodbye and free everything. Harmless twice.
    pub fn close(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        if let State::Running(handle) = &state {
            handle.post(|endpoint, now| endpoint.close(now));
            handle.close();
        }
    }
}

/// Results of jobs wait: let the peer look, once however many there are.
fn wake(backend: &Weak<PeerBackend>) {
    let Some(backend) = backend.upgrade() else {
        return;
    };
    if backend.wake_pending.swap(true, Ordering::AcqRel) {
        return;
    }
    let again = Arc::downgrade(&backend);
    let posted = backend.running().is_some_and(|handle| {
        handle.post(move |endpoint, now| {
            if let Some(backend) = again.upgrade() {
                backend.wake_pending.store(false, Ordering::Release);
            }
            endpoint.peer.handle_timeout(now);
            endpoint.report();
        })
    });
    if !posted {
        backend.wake_pending.store(false, Ordering::Release);
    }
}
