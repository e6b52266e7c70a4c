//! Sequence numbers for one subscriber: no hole where nothing was lost.
//!
//! A subscriber's SSRC is one stream (RFC 3550 section 5.1) though it is fed from several layers, and packets that it
//! is not meant to get must not look lost to it (RFC 4585 would have it ask for them).
//! In: extended numbers of the current source, each forwarded or skipped, and switches to another source. Out: the
//! extended output number. Output is input minus an offset. A skipped packet makes the offset grow by one from the
//! next number on; a switch sets it so that the first packet follows the last output. Earlier offsets are kept, so a
//! late packet gets the number that was left free for it.

use std::collections::VecDeque;

const MAX_RANGES: usize = 100;

/// Maps the extended numbers of the source to a continuous sequence.
///
/// `output = input - offset`; an offset holds from one input number on, and late packets find theirs.
#[derive(Debug, Default)]
pub struct SequenceMunger {
    highest_input: u64,
    last_output: Option<u64>,
    /// (from this input on, offset), oldest first.
    ranges: VecDeque<(u64, i64)>,
}

impl SequenceMunger {
    /// Continues an earlier sequence of the same SSRC.
    pub fn resume_after(last_output: u64) -> SequenceMunger {
        SequenceMunger {
            last_output: Some(last_output),
            ..SequenceMunger::default()
        }
    }

    /// `input` is the first of its source: it follows the last output. The very first output is below 32,768,
    /// where receivers can't misjudge the rollover counter (RFC 3711 section 3.3.1).
    pub fn switch(&mut self, input: u64) -> u64 {
        let output = self.last_output.map_or(input & 0x7FFF, |last| last + 1);
        self.ranges.clear();
        self.ranges.push_back((input, input as i64 - output as i64));
        self.highest_input = input;
        self.last_output = Some(output);
        output
    }

    /// The output number of a packet to forward; None for one from before what is remembered.
    pub fn forward(&mut self, input: u64) -> Option<u64> {
        let (_, offset) = self.ranges.iter().rev().find(|(from, _)| *from <= input)?;
        let output = input.checked_add_signed(-offset)?;
        if input > self.highest_input {
            self.highest_input = input;
            self.last_output = Some(output);
        }
        Some(output)
    }

    /// The packet will not be forwarded: numbers after it close up. A late one leaves its hole.
    pub fn skip(&mut self, input: u64) {
        let Some((_, offset)) = self.ranges.back().copied() else {
            return;
        };
        if input <= self.highest_input {
            return;
        }
        self.highest_input = input;
        // Numbers of packets still missing before this one stay reserved.
        self.last_output = input.checked_add_signed(-offset - 1);
        self.ranges.push_back((input + 1, offset + 1));
        if self.ranges.len() > MAX_RANGES {
            self.ranges.pop_front();
        }
    }

    /// A number for a packet of our own making. Only between sources: `switch` has to follow.
    pub fn inject(&mut self) -> Option<u64> {
        let output = self.last_output? + 1;
        self.last_output = Some(output);
        Some(output)
    }

    /// The highest number given out.
    pub fn last_output(&self) -> Option<u64> {
        self.last_output
    }

    /// Whether `input` directly follows the newest input.
    pub fn follows(&self, input: u64) -> bool {
        input == self.highest_input + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        Switch(u64, u64),
        Forward(u64, Option<u64>),
        Skip(u64),
        Inject(u64),
    }
    use Step::{Forward, Inject, Skip, Switch};

    #[test]
    fn numbers_are_continuous() {
        let cases: &[&[Step]] = &[
            &[
                Switch(65_546, 10),
                Forward(65_547, Some(11)),
                Forward(65_549, Some(13)),
                Forward(65_548, Some(12)),
            ],
            &[
                Switch(65_546, 10),
                Skip(65_547),
                Skip(65_548),
                Forward(65_549, Some(11)),
                Forward(65_546, Some(10)),
            ],
            // 12 is missing when 13 is skipped, and comes later.
            &[
                Switch(10, 10),
                Forward(11, Some(11)),
                Skip(13),
                Forward(14, Some(13)),
                Forward(12, Some(12)),
                Forward(15, Some(14)),
            ],
            // A skipped one at the end does not move the next source.
            &[
                Switch(10, 10),
                Skip(11),
                Switch(900, 11),
                Forward(901, Some(12)),
                Forward(10, None),
            ],
            &[Switch(10, 10), Skip(11), Skip(11), Forward(12, Some(11))],
            &[
                Switch(10, 10),
                Inject(11),
                Inject(12),
                Switch(40, 13),
                Forward(39, None),
            ],
            &[Switch(131_071, 32_767), Forward(131_072, Some(32_768))],
        ];
        for (index, steps) in cases.iter().enumerate() {
            let mut munger = SequenceMunger::default();
            for step in *steps {
                match step {
                    Switch(input, output) => {
                        assert_eq!(munger.switch(*input), *output, "case {index}")
                    }
                    Forward(input, output) => {
                        assert_eq!(munger.forward(*input), *output, "case {index}: {input}")
                    }
                    Skip(input) => munger.skip(*input),
                    Inject(output) => assert_eq!(munger.inject(), Some(*output), "case {index}"),
                }
            }
        }
    }

    #[test]
    fn nothing_is_remembered_for_ever() {
        let mut munger = SequenceMunger::default();
        munger.switch(1_000);
        for input in (1_001..2_000).step_by(2) {
            munger.skip(input);
            assert!(munger.forward(input + 1).is_some());
        }
        assert_eq!(munger.ranges.len(), MAX_RANGES);
        assert_eq!(munger.forward(1_100), None);
    }
}
