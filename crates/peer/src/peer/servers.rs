//! What STUN and TURN servers give a peer, and what goes through them.

use greenroom_turn::ServersEvent;

use super::{Peer, PeerEvent, Protocol, Transmit};

impl Peer {
    /// Carry what servers told to str0m. Whether anything changed.
    pub(super) fn take_server_events(&mut self) -> bool {
        let mut changed = false;
        while let Some(event) = self.servers.poll_event() {
            changed = true;
            let local = &mut self.connection.local;
            let line = match event {
                ServersEvent::Reflexive { base, mapped } => local.add_reflexive(&mut self.rtc, base, mapped),
                ServersEvent::Relayed { relayed, local: from } => {
                    local.add_relayed(&mut self.rtc, relayed, from)
                }
                ServersEvent::Lost { relayed, .. } => {
                    local.remove(&mut self.rtc, relayed);
                    None
                }
            };
            self.events.extend(line.map(PeerEvent::LocalCandidate));
        }
        changed
    }

    /// What goes to a server.
    pub(super) fn poll_server_transmit(&mut self) -> Option<Transmit> {
        let transmit = self.servers.poll_transmit()?;
        Some(Transmit {
            protocol: Protocol::Udp,
            source: transmit.source,
            destination: transmit.destination,
            contents: transmit.contents,
        })
    }
}
