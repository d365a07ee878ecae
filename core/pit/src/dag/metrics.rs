//! How long things took.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::journal::{Ended, Outcome};

/// Durations of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub count: u64,
    pub avg: Duration,
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

/// Collects durations: exactly while they are few, so that thousands of nodes cost little, then to 0.1 %.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    few: Vec<u64>,
    many: Option<Histogram<u64>>,
}

const FEW: usize = 1024;

impl Durations {
    pub fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(many) = &mut self.many {
            // It grows with what it holds, so nothing is refused.
            let _ = many.record(nanos);
            return;
        }
        self.few.push(nanos);
        if self.few.len() > FEW {
            self.many = Histogram::new(3).ok();
            if let Some(many) = &mut self.many {
                self.few.drain(..).for_each(|nanos| _ = many.record(nanos));
            }
        }
    }

    pub fn summary(&self) -> Summary {
        match &self.many {
            Some(many) => summary_of(many),
            None => exact(&self.few),
        }
    }
}

fn summary_of(many: &Histogram<u64>) -> Summary {
    let at = |quantile| Duration::from_nanos(many.value_at_quantile(quantile));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of what was recorded"
    )]
    let avg = Duration::from_nanos(many.mean() as u64);
    let max = Duration::from_nanos(many.max());
    Summary { count: many.len(), avg, p50: at(0.5), p99: at(0.99), max }
}

fn exact(few: &[u64]) -> Summary {
    let mut sorted = few.to_vec();
    sorted.sort_unstable();
    let Some(max) = sorted.last() else { return Summary::default() };
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        Duration::from_nanos(sorted.get(rank - 1).copied().unwrap_or_default())
    };
    let count = sorted.len() as u64;
    let avg = sorted.iter().fold(0_u64, |sum, nanos| sum.saturating_add(*nanos)) / count;
    Summary {
        count,
        avg: Duration::from_nanos(avg),
        p50: at(50),
        p99: at(99),
        max: Duration::from_nanos(*max),
    }
}

/// What runs of one melody took, node by node.
#[derive(Debug, Default)]
pub struct Metrics {
    nodes: BTreeMap<String, NodeMetrics>,
    all: Durations,
}

/// What one node took, over all runs and all its times.
#[derive(Debug, Default)]
pub struct NodeMetrics {
    pub took: Durations,
    /// Between being ready and its last attempt.
    pub waited: Durations,
    pub attempts: u64,
    pub completed: u64,
    pub failed: u64,
}

impl Metrics {
    /// Counts the end of a node. What was never run is left out.
    pub fn add(&mut self, ended: &Ended) {
        let failed = matches!(ended.outcome, Outcome::Failed { .. });
        if !failed && !ended.is_completed() {
            return;
        }
        let took = Duration::from_nanos(ended.took);
        let node = self.nodes.entry(ended.node.without_time().to_owned()).or_default();
        node.took.add(took);
        node.waited.add(Duration::from_millis(ended.start.saturating_sub(ended.ready)));
        node.attempts += u64::from(ended.attempt);
        node.completed += u64::from(!failed);
        node.failed += u64::from(failed);
        self.all.add(took);
    }

    /// By the id of the node: `each` for `each[0]`, `each[1]` and `each` itself.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeMetrics)> {
        self.nodes.iter().map(|(node, metrics)| (node.as_str(), metrics))
    }

    /// Over all nodes.
    pub fn all(&self) -> Summary {
        self.all.summary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_the_middle_and_the_tail() {
        for count in [1000, 10_000] {
            let mut durations = Durations::default();
            (1..=count).for_each(|ms| durations.add(Duration::from_millis(ms)));
            let summary = durations.summary();
            assert_eq!(summary.count, count);
            let n = Duration::from_millis(count).as_secs_f64();
            let told = [(summary.p50, 0.5), (summary.p99, 0.99), (summary.avg, 0.5), (summary.max, 1.0)];
            for (told, share) in told {
                assert!((told.as_secs_f64() / n - share).abs() < 0.002, "{told:?} is not {share} of {n} s");
            }
        }
        assert_eq!(Durations::default().summary(), Summary::default());
    }
}
