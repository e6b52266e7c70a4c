//! Whether losses mean that the link is full.

/// Losses above this (and above what the link loses anyway) do.
const MOST_LOSS: f64 = 0.08;
/// Losses that don't become fewer than this part of what they were, though less is sent, are the link's own.
const UNCHANGED: f64 = 0.7;
/// How fast that is forgotten when fewer are lost.
const FORGETTING: f64 = 0.02;

/// Tells losses of a full link, which end when less is sent, from those of a bad one, which don't.
#[derive(Debug, Default)]
pub struct LossJudge {
    /// What the link loses, whatever is sent.
    inherent: f64,
    /// The losses for which less was sent lately.
    reacted_to: Option<f64>,
}

impl LossJudge {
    /// Whether less should be sent because of these losses, which were counted after the last time that less was sent.
    pub fn is_full(&mut self, loss: f64) -> bool {
        if let Some(before) = self.reacted_to.take() {
            self.inherent = if loss > before * UNCHANGED { loss } else { 0.0 };
        }
        self.inherent += (loss - self.inherent).min(0.0) * FORGETTING;
        loss > self.inherent + MOST_LOSS
    }

    /// Less is sent now.
    pub fn reacted(&mut self, loss: f64) {
        self.reacted_to = Some(loss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(judge: &mut LossJudge, loss: f64) -> bool {
        let is_full = judge.is_full(loss);
        if is_full {
            judge.reacted(loss);
        }
        is_full
    }

    #[test]
    fn losses_that_stay_are_the_links_own() {
        let mut judge = LossJudge::default();
        let found = [0.05, 0.2, 0.19, 0.25, 0.4].map(|loss| judged(&mut judge, loss));
        assert_eq!(found, [false, true, false, false, true]);
    }

    #[test]
    fn losses_that_end_were_of_a_full_link() {
        let mut judge = LossJudge::default();
        let found = [0.5, 0.02, 0.12].map(|loss| judged(&mut judge, loss));
        assert_eq!(found, [true, false, true]);
    }
}
