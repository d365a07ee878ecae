//! Samples and what is told of them.

use std::time::{Duration, Instant};

/// Times of one kind, in one unit.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    seconds: Vec<f64>,
}

impl Samples {
    pub(crate) fn push(&mut self, took: Duration) {
        self.seconds.push(took.as_secs_f64());
    }

    /// Runs `work` and keeps how long it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.push(start.elapsed());
        done
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.seconds.extend(&other.seconds);
    }

    pub(crate) fn len(&self) -> usize {
        self.seconds.len()
    }

    /// The sample that a share of `q` does not exceed, in seconds; NaN without samples.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        quantile(&self.seconds, q)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// The middle one; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand samples, a share from 0 to 1"
    )]
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
