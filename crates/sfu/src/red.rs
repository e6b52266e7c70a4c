//! Redundant audio (RFC 2198): the primary block of a packet.

/// The last block, and its payload type. None when malformed.
pub fn primary_block(payload: &[u8]) -> Option<(u8, &[u8])> {
    let mut at = 0;
    let mut redundant = 0usize;
    loop {
        let head = *payload.get(at)?;
        if head & 0x80 == 0 {
            let block = payload.get(at + 1 + redundant..)?;
            return Some((head & 0x7F, block));
        }
        let length = u16::from_be_bytes([*payload.get(at + 2)?, *payload.get(at + 3)?]) & 0x3FF;
        redundant += usize::from(length);
        at += 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_is_found() {
        type Case<'a> = (&'a [u8], Option<(u8, &'a [u8])>);
        let cases: &[Case<'_>] = &[
            (&[111, 1, 2], Some((111, &[1, 2]))),
            (&[0xEF, 0x0F, 0x00, 2, 111, 8, 8, 1, 2], Some((111, &[1, 2]))),
            (
                &[0xEF, 0, 0, 1, 0xEF, 0, 0, 2, 111, 7, 8, 8, 1],
                Some((111, &[1])),
            ),
            (&[0xEF, 0, 3, 255, 111, 1], None),
            (&[0xEF, 0, 0], None),
            (&[0xEF; 40], None),
            (&[], None),
        ];
        for (payload, expected) in cases {
            assert_eq!(primary_block(payload), *expected, "{payload:x?}");
        }
    }
}
