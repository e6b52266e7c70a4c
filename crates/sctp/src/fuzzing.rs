//! For the fuzz targets: an association that is given whatever the fuzzer makes up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::wire::{Packet, PacketWriter};
use crate::{
    ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, PayloadProtocolIdentifier, ServerConfig,
    StreamEvent,
};

const HEADER_BYTES: usize = 12;

/// Parses every chunk of `bytes`, taken for the chunks of a packet with the right checksum.
pub fn parse(bytes: &[u8]) {
    if let Some(packet) = Packet::parse(&with_checksum(0, bytes)) {
        packet.chunks().for_each(drop);
    }
}

fn with_checksum(tag: u32, chunks: &[u8]) -> Bytes {
    let mut packet = PacketWriter::new(tag, HEADER_BYTES + chunks.len());
    packet.raw(chunks);
    packet.finish()
}

/// Connects two associations, then gives one of them hostile chunks, cut from `bytes`, between timeouts.
pub fn associate(bytes: &[u8], now: Instant) {
    let address = ([192, 0, 2, 1], 5000).into();
    let config = Arc::new(EndpointConfig::new());
    let mut ends = [
        Endpoint::new(config.clone(), None),
        Endpoint::new(config, Some(Arc::new(ServerConfig::new()))),
    ];
    let Ok((_, client)) = ends[0].connect(ClientConfig::new(), address) else {
        return;
    };
    let mut sides = [Some(client), None];
    for turn in 0..6 {
        let Some(association) = &mut sides[turn % 2] else {
            return;
        };
        let packets = association.poll_transmit(now);
        let to = 1 - turn % 2;
        for packet in packets.into_iter().flat_map(|transmit| transmit.packets()) {
            match (ends[to].handle(now, address, None, None, packet), &mut sides[to]) {
                (Some((_, DatagramEvent::NewAssociation(new))), side) => *side = Some(new),
                (Some((_, DatagramEvent::AssociationEvent(event))), Some(side)) => side.handle_event(event),
                _ => {}
            }
        }
    }
    let [_, Some(mut victim)] = sides else {
        return;
    };
    if let Ok(mut stream) = victim.open_stream(1, PayloadProtocolIdentifier::Binary) {
        drop(stream.write(&[7; 5000]));
    }
    let mut time = now;
    for chunk in bytes
        .split(|byte| *byte == 0xff)
        .filter(|chunk| !chunk.is_empty())
    {
        time += Duration::from_millis(u64::from(chunk[0]));
        victim.handle_hostile(&chunk[1..], time);
        victim.handle_timeout(time);
        while let Some(event) = victim.poll() {
            if let Event::Stream(StreamEvent::Readable { id }) = event
                && let Ok(mut stream) = victim.stream(id)
            {
                while let Ok(Some(_)) = stream.read() {}
            }
        }
        drop(victim.poll_transmit(time));
    }
}

impl crate::Transmit {
    fn packets(self) -> Vec<Bytes> {
        let crate::Payload::RawEncode(packets) = self.payload;
        packets
    }
}

impl crate::Association {
    fn handle_hostile(&mut self, chunks: &[u8], now: Instant) {
        let packet = with_checksum(self.own_tag(), chunks);
        self.handle_event(crate::AssociationEvent { now, packet });
    }
}
