//! What the fuzz targets share: how an input is read as a list of steps.
#![forbid(unsafe_code)]

/// Reads an input piece by piece; what is missing at its end is zero or empty.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// From the bytes of the fuzzer.
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// Two bytes.
    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Up to this many bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// A packet: its length in one byte, in units of `unit` bytes, and its contents.
    pub fn packet(&mut self, unit: usize) -> &'a [u8] {
        let length = usize::from(self.byte()) * unit;
        self.bytes(length)
    }
}

/// Writes what [`Input`] reads: a step, and a packet of up to 255 bytes.
pub fn write_step(out: &mut Vec<u8>, step: u8, packet: &[u8]) {
    let packet = &packet[..packet.len().min(255)];
    out.extend([step, packet.len() as u8]);
    out.extend_from_slice(packet);
}
