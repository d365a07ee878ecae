//! What live runs will need: the look-ahead into their graphs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ModelId;

/// One node that will use a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upcoming {
    /// The node, numbered within its run.
    pub node: u32,
    pub model: ModelId,
    /// When it starts if all before it take their usual time, in milliseconds after the run's start: the longest path
    /// from an input. Where no times are known, 1,000 for each node on that path does.
    pub due: u64,
}

/// The upcoming uses of all live runs.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    runs: HashMap<u64, Run>,
    next: u64,
}

/// How far away a use is, in milliseconds of the usual times.
pub(super) type Distance = u64;

#[derive(Debug, Default)]
struct Run {
    /// Uses that have not begun, by when they are due.
    pending: BTreeSet<(u64, u32, ModelId)>,
    nodes: HashMap<u32, (u64, ModelId)>,
    models: BTreeMap<ModelId, BTreeSet<(u64, u32)>>,
    /// The latest due time of a node that has begun: where the run is.
    reached: u64,
}

impl Horizon {
    pub(super) fn add(&mut self, uses: &[Upcoming]) -> u64 {
        self.next += 1;
        let mut run = Run::default();
        for upcoming in uses {
            run.add(*upcoming);
        }
        self.runs.insert(self.next, run);
        self.next
    }

    pub(super) fn extend(&mut self, run: u64, uses: &[Upcoming]) {
        if let Some(run) = self.runs.get_mut(&run) {
            uses.iter().for_each(|upcoming| run.add(*upcoming));
        }
    }

    /// The node begins, or will never.
    pub(super) fn settle(&mut self, run: u64, node: u32, begun: bool) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.settle(node, begun);
        }
    }

    pub(super) fn remove(&mut self, run: u64) {
        self.runs.remove(&run);
    }

    /// How far away the model's next use is; `None` if no live run will use it.
    pub(super) fn distance(&self, model: ModelId) -> Option<Distance> {
        self.runs.values().filter_map(|run| run.distance(model)).min()
    }

    /// The models that will be used, the nearest first, at most `limit`.
    pub(super) fn nearest(&self, limit: usize) -> Vec<(Distance, ModelId)> {
        let mut nearest: HashMap<ModelId, Distance> = HashMap::new();
        for run in self.runs.values() {
            for (model, distance) in run.nearest(limit) {
                nearest.entry(model).and_modify(|known| *known = distance.min(*known)).or_insert(distance);
            }
        }
        let mut nearest: Vec<_> = nearest.into_iter().map(|(model, distance)| (distance, model)).collect();
        nearest.sort_unstable();
        nearest.truncate(limit);
        nearest
    }
}

impl Run {
    fn add(&mut self, Upcoming { node, model, due }: Upcoming) {
        self.settle(node, false);
        self.pending.insert((due, node, model));
        self.nodes.insert(node, (due, model));
        self.models.entry(model).or_default().insert((due, node));
    }

    fn settle(&mut self, node: u32, begun: bool) {
        let Some((due, model)) = self.nodes.remove(&node) else { return };
        self.pending.remove(&(due, node, model));
        if let Some(uses) = self.models.get_mut(&model) {
            uses.remove(&(due, node));
            if uses.is_empty() {
                self.models.remove(&model);
            }
        }
        if begun {
            self.reached = self.reached.max(due);
        }
    }

    fn distance(&self, model: ModelId) -> Option<Distance> {
        let (due, _) = self.models.get(&model)?.first()?;
        Some(due.saturating_sub(self.reached))
    }

    fn nearest(&self, limit: usize) -> Vec<(ModelId, Distance)> {
        let all = self.models.len().min(limit);
        let mut found: Vec<(ModelId, Distance)> = Vec::with_capacity(all);
        for (due, _, model) in &self.pending {
            if found.len() == all {
                break;
            }
            if found.iter().all(|(known, _)| known != model) {
                found.push((*model, due.saturating_sub(self.reached)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(of: &[(u32, u32, u64)]) -> Vec<Upcoming> {
        of.iter().map(|&(node, model, due)| Upcoming { node, model: ModelId(model), due }).collect()
    }

    #[test]
    fn the_next_use_is_the_nearest_of_all_runs_and_moves_with_them() {
        let mut horizon = Horizon::default();
        let first = horizon.add(&uses(&[(0, 1, 0), (1, 2, 1000), (2, 1, 5000)]));
        let second = horizon.add(&uses(&[(0, 2, 300), (1, 3, 900)]));
        let at = |horizon: &Horizon| [1, 2, 3].map(|model| horizon.distance(ModelId(model)));
        assert_eq!(at(&horizon), [Some(0), Some(300), Some(900)]);
        horizon.settle(first, 0, true);
        horizon.settle(first, 1, true);
        assert_eq!(at(&horizon), [Some(4000), Some(300), Some(900)], "the first run has reached 1000");
        horizon.settle(second, 0, false);
        assert_eq!(at(&horizon), [Some(4000), None, Some(900)], "a skipped node moves nothing");
        assert_eq!(horizon.nearest(8), [(900, ModelId(3)), (4000, ModelId(1))]);
        assert_eq!(horizon.nearest(1), [(900, ModelId(3))]);
        horizon.remove(second);
        assert_eq!(at(&horizon), [Some(4000), None, None]);
    }

    #[test]
    fn what_is_overdue_is_due_now_and_a_node_is_counted_once() {
        let mut horizon = Horizon::default();
        let run = horizon.add(&uses(&[(0, 1, 100), (1, 2, 900)]));
        horizon.settle(run, 1, true);
        assert_eq!(horizon.distance(ModelId(1)), Some(0));
        horizon.extend(run, &uses(&[(0, 3, 2000)]));
        assert_eq!(horizon.distance(ModelId(1)), None, "the node uses another model now");
        assert_eq!(horizon.distance(ModelId(3)), Some(1100));
    }
}
