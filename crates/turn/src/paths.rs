//! The ways to servers, found in constant time by what comes in and by what is to go out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use crate::path::Path;
use crate::{IceServer, ServerKind};

/// Ways to servers beyond this are not tried; a machine may have many addresses.
const MAX_PATHS: usize = 48;

/// (local, remote, whether it is a stream).
type Ends = (SocketAddr, SocketAddr, bool);

/// All paths of one connection. Indices hold until a path is added or removed.
#[derive(Default)]
pub(crate) struct Paths {
    all: Vec<Path>,
    by_ends: HashMap<Ends, Vec<usize>>,
    by_relayed: HashMap<SocketAddr, usize>,
    /// No path wants to be called before this.
    deadline: Option<Instant>,
}

impl Paths {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.all.iter()
    }

    pub fn get_mut(&mut self, index: usize) -> Option<&mut Path> {
        self.all.get_mut(index)
    }

    /// The index of the new path, unless there is one like it or there are too many.
    pub fn add(&mut self, path: Path) -> Option<usize> {
        let is_alike = |other: &Path| other.local == path.local && other.origin.is_same(&path.origin);
        if self.all.len() >= MAX_PATHS || self.all.iter().any(is_alike) {
            return None;
        }
        self.all.push(path);
        self.index();
        Some(self.all.len() - 1)
    }

    /// Another path takes the place of one.
    pub fn replace(&mut self, index: usize, path: Path) {
        if let Some(place) = self.all.get_mut(index) {
            *place = path;
            self.index();
        }
    }

    /// Those that are not kept.
    pub fn retain(&mut self, is_kept: impl Fn(&Path) -> bool) -> Vec<Path> {
        let (kept, gone) = std::mem::take(&mut self.all).into_iter().partition(is_kept);
        self.all = kept;
        self.index();
        gone
    }

    /// The paths between two addresses; answers to STUN questions first: a TURN server is often asked both.
    pub fn between(&self, local: SocketAddr, remote: SocketAddr, stream: bool) -> &[usize] {
        self.by_ends
            .get(&(local, remote, stream))
            .map_or(&[], Vec::as_slice)
    }

    pub fn with_relayed(&self, relayed: SocketAddr) -> Option<usize> {
        self.by_relayed.get(&relayed).copied()
    }

    pub fn has_any_to(&self, server: &IceServer) -> bool {
        self.all.iter().any(|path| path.origin.is_same(server))
    }

    /// After a path was given something: what it wants next, and whether it relays now.
    pub fn touched(&mut self, index: usize) {
        let Some(path) = self.all.get(index) else { return };
        self.deadline = [self.deadline, path.poll_timeout()].into_iter().flatten().min();
        if path.relayed() != path.indexed {
            self.index_relayed();
        }
    }

    /// The indices of those that are due; the deadline is exact after it and `touched` for each.
    pub fn due(&mut self, now: Instant) -> Vec<usize> {
        let is_due = |path: &Path| path.poll_timeout().is_some_and(|at| at <= now);
        let due: Vec<usize> = (0..self.all.len())
            .filter(|index| is_due(&self.all[*index]))
            .collect();
        self.deadline = self
            .all
            .iter()
            .filter_map(Path::poll_timeout)
            .filter(|at| *at > now)
            .min();
        due
    }

    /// When `due` is worth a call; it may find nothing.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Make the tables anew; the deadline is exact then.
    pub fn index(&mut self) {
        self.by_ends.clear();
        for (index, path) in self.all.iter().enumerate() {
            let ends = (path.local, path.server.address, path.is_stream());
            let same = self.by_ends.entry(ends).or_default();
            match path.server.kind {
                ServerKind::Stun => same.insert(0, index),
                ServerKind::Turn => same.push(index),
            }
        }
        self.deadline = self.all.iter().filter_map(Path::poll_timeout).min();
        self.index_relayed();
    }

    fn index_relayed(&mut self) {
        self.by_relayed.clear();
        for (index, path) in self.all.iter_mut().enumerate() {
            path.indexed = path.relayed();
            self.by_relayed
                .extend(path.indexed.map(|relayed| (relayed, index)));
        }
    }
}
