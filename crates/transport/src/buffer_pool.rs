//! Buffers for packets, used again and again: in steady state a packet costs no allocation.
//!
//! Whoever drives transports has one pool for all of them. A packet that comes in is opened in a buffer of the pool, and
//! one that goes out is written into one, which becomes the datagram; whoever has sent it gives the buffer back.

/// Room for a datagram of the usual path MTU, and what is added to it on its way from one transport to another.
const BUFFER_BYTES: usize = 1_600;
/// A buffer that had to grow is kept up to this.
const MAX_BUFFER_BYTES: usize = 2 * BUFFER_BYTES;
/// Buffers that wait to be used, 3.2 MB; more are freed.
const MAX_IDLE: usize = 2_048;

/// Buffers that wait to be used: as many as were in use at once, at most 2,048. The last one given back is the next one
/// taken, for its memory is warm.
#[derive(Debug, Default)]
pub struct BufferPool {
    idle: Vec<Vec<u8>>,
}

impl BufferPool {
    /// An empty buffer with room for a usual datagram.
    pub fn take(&mut self) -> Vec<u8> {
        self.idle
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    /// A buffer that is not needed any more. One of another make, or one too many, is freed.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.idle.len() < MAX_IDLE && (BUFFER_BYTES..=MAX_BUFFER_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            self.idle.push(buffer);
        }
    }

    /// What was written into a buffer; in its place is an empty one.
    pub fn exchange(&mut self, written: &mut Vec<u8>) -> Vec<u8> {
        std::mem::replace(written, self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty() {
        let mut pool = BufferPool::default();
        let mut written = pool.take();
        written.extend_from_slice(b"datagram");
        let place = written.as_ptr();
        let datagram = pool.exchange(&mut written);
        assert_eq!((datagram.as_slice(), written.len()), (&b"datagram"[..], 0));
        pool.give_back(datagram);
        let again = pool.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pool = BufferPool::default();
        for capacity in [0, BUFFER_BYTES - 1, MAX_BUFFER_BYTES + 1] {
            pool.give_back(Vec::with_capacity(capacity));
        }
        assert_eq!(pool.idle.len(), 0);
        let mut grown = pool.take();
        grown.resize(BUFFER_BYTES + 1, 0);
        pool.give_back(grown);
        assert_eq!(pool.idle.len(), 1);
        for _ in 0..MAX_IDLE + 5 {
            pool.give_back(Vec::with_capacity(BUFFER_BYTES));
        }
        assert_eq!(pool.idle.len(), MAX_IDLE);
    }
}
