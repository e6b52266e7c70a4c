//! How much of an audio stream gets lost, for the encoder's redundancy (RFC 6716 section 2.1.7).

/// Redundancy for more than this would leave too little for the sound itself.
const MAX_LOSS: f32 = 0.2;
/// How much of a new figure counts: loss is answered sooner than its end is believed.
const RISE: f32 = 0.5;
const FALL: f32 = 0.1;
/// Less is no loss to speak of.
const LEAST_LOSS: f32 = 0.003;

/// What the peer reports, smoothed.
#[derive(Debug, Default)]
pub(crate) struct ExpectedLoss {
    loss: f32,
    told_percent: u8,
}

impl ExpectedLoss {
    /// A new report, from 0 to 1; the percentage to expect from now on, when it is another.
    pub fn update(&mut self, loss: f32) -> Option<u8> {
        let loss = loss.clamp(0.0, MAX_LOSS);
        let weight = if loss > self.loss { RISE } else { FALL };
        self.loss += weight * (loss - self.loss);
        let percent = if self.loss < LEAST_LOSS {
            0
        } else {
            (self.loss * 100.0).ceil() as u8
        };
        (std::mem::replace(&mut self.told_percent, percent) != percent).then_some(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_told_at_once_and_forgotten_slowly() {
        let mut expected = ExpectedLoss::default();
        assert_eq!(expected.update(0.0), None);
        assert_eq!(expected.update(0.1), Some(5));
        assert_eq!(expected.update(0.05), None);
        let told: Vec<u8> = (0..60).filter_map(|_| expected.update(0.0)).collect();
        assert_eq!(told, [4, 3, 2, 1, 0]);
    }

    #[test]
    fn it_is_bounded() {
        let mut expected = ExpectedLoss::default();
        let told: Vec<u8> = (0..60).filter_map(|_| expected.update(1.0)).collect();
        assert_eq!(told.last(), Some(&20));
        assert_eq!(expected.update(0.0), Some(18));
    }
}
