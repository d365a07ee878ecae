//! What the radar remembers of a repository between two looks, and the merges of one look.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use podium_git::{Conflict, Oid, Repo, Work};

use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::lock;
use crate::view::location;

/// Threads of one look.
const THREADS: usize = 2;

/// Both trees, and the commit they started from.
type Key = (Oid, Oid, Option<Oid>);
type Merged = Arc<Vec<Conflict>>;

#[derive(Default)]
pub(super) struct Memory {
    /// By id of the worktree.
    pub(super) works: HashMap<String, Kept>,
    trunk: Option<(Oid, Work)>,
    bases: HashMap<(Oid, Oid), Option<Oid>>,
    merged: HashMap<Key, Merged>,
}

/// A worktree's work, and what vouches for it.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) work: Work,
    /// Of the watches, from before the look.
    pub(super) revisions: Option<(u64, u64)>,
}

/// A pair to judge, by position in the rows; `None` for trunk.
pub(super) type Pair = (usize, Option<usize>);

struct Task {
    pairs: Vec<Pair>,
    base: Option<Oid>,
    ours: Work,
    theirs: Work,
}

impl Memory {
    /// Looks at the worktrees that changed.
    pub(super) fn refresh(&mut self, repo: &Repo, stale: &[(WorktreeRow, Option<(u64, u64)>)]) {
        let looked = in_parallel(stale, |(row, _)| {
            // Without an index the files are still arriving: they are not deleted.
            row.admin_dir.join("index").exists().then(|| repo.work(&location(row)))
        });
        for ((row, revisions), looked) in stale.iter().zip(looked) {
            match looked {
                Some(Ok(work)) => {
                    self.works.insert(row.id.clone(), Kept { work, revisions: *revisions });
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, path = %row.path.display(), "a worktree's work cannot be read");
                    self.works.remove(&row.id);
                }
                None => {
                    self.works.remove(&row.id);
                }
            }
        }
    }

    /// Judges every pair of these worktrees, and each against trunk: those that conflict.
    pub(super) fn judge(
        &mut self,
        repo: &Repo,
        rows: &[WorktreeRow],
        tip: Option<&Oid>,
    ) -> Result<Vec<(Pair, Merged)>> {
        self.works.retain(|id, _| rows.iter().any(|row| row.id == *id));
        let trunk = self.trunk(repo, tip)?;
        let works: Vec<Option<Work>> =
            rows.iter().map(|row| self.works.get(&row.id).map(|kept| kept.work.clone())).collect();
        let busy = self.busy(repo, &works, tip)?;
        let mut keys: Vec<(Pair, Key)> = Vec::new();
        let mut tasks: HashMap<Key, Task> = HashMap::new();
        for (nth, ours) in works.iter().enumerate() {
            let Some(ours) = ours.as_ref().filter(|_| busy.contains(&nth)) else { continue };
            let others = works.iter().enumerate().skip(nth + 1).filter(|(other, _)| busy.contains(other));
            let others = others.filter_map(|(other, work)| Some((Some(other), work.as_ref()?)));
            for (other, theirs) in others.chain(trunk.as_ref().map(|work| (None, work))) {
                let base = self.base(repo, ours, theirs)?;
                let key = (ours.tree().clone(), theirs.tree().clone(), base.clone());
                keys.push(((nth, other), key.clone()));
                if !self.merged.contains_key(&key) {
                    let task =
                        || Task { pairs: Vec::new(), base, ours: ours.clone(), theirs: theirs.clone() };
                    tasks.entry(key).or_insert_with(task).pairs.push((nth, other));
                }
            }
        }
        let used: HashSet<&Key> = keys.iter().map(|(_, key)| key).collect();
        self.merged.retain(|key, _| used.contains(key));
        self.merge(repo, tasks)?;
        let merged = keys.iter().filter_map(|(pair, key)| Some((*pair, self.merged.get(key)?.clone())));
        Ok(merged.filter(|(_, conflicts)| !conflicts.is_empty()).collect())
    }

    fn trunk(&mut self, repo: &Repo, tip: Option<&Oid>) -> Result<Option<Work>> {
        let Some(tip) = tip else { return Ok(None) };
        if let Some((_, work)) = self.trunk.as_ref().filter(|(known, _)| known == tip) {
            return Ok(Some(work.clone()));
        }
        let work = repo.work_at(tip)?;
        self.trunk = Some((tip.clone(), work.clone()));
        Ok(Some(work))
    }

    /// Positions of the worktrees that changed anything since they left trunk.
    fn busy(&mut self, repo: &Repo, works: &[Option<Work>], tip: Option<&Oid>) -> Result<HashSet<usize>> {
        let mut trial = repo.trial()?;
        let mut busy = HashSet::new();
        for (nth, work) in works.iter().enumerate() {
            let Some(work) = work else { continue };
            let base = match (work.head(), tip) {
                (Some(head), Some(tip)) => self.common(repo, head, tip)?,
                _ => None,
            };
            if trial.is_changed(base.as_ref(), work)? {
                busy.insert(nth);
            }
        }
        Ok(busy)
    }

    fn base(&mut self, repo: &Repo, ours: &Work, theirs: &Work) -> Result<Option<Oid>> {
        match (ours.head(), theirs.head()) {
            (Some(ours), Some(theirs)) => self.common(repo, ours, theirs),
            _ => Ok(None),
        }
    }

    fn common(&mut self, repo: &Repo, a: &Oid, b: &Oid) -> Result<Option<Oid>> {
        if a == b {
            return Ok(Some(a.clone()));
        }
        let key = if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        if let Some(base) = self.bases.get(&key) {
            return Ok(base.clone());
        }
        // Old ones go all at once: commits of long ago are asked for no more.
        if self.bases.len() >= 4_096 {
            self.bases.clear();
        }
        let base = repo.merge_base(a, b)?;
        self.bases.insert(key, base.clone());
        Ok(base)
    }

    /// A merge that cannot be tried counts as clean until something changes, with a line in the log.
    fn merge(&mut self, repo: &Repo, tasks: HashMap<Key, Task>) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let tasks: Vec<(Key, Task)> = tasks.into_iter().collect();
        let trials = Mutex::new(Vec::new());
        let merged = in_parallel(&tasks, |(_, task)| {
            let trial = lock(&trials).pop();
            let mut trial = match trial {
                Some(trial) => trial,
                None => repo.trial()?,
            };
            let found = trial.merge(task.base.as_ref(), &task.ours, &task.theirs);
            lock(&trials).push(trial);
            found
        });
        for ((key, task), merged) in tasks.into_iter().zip(merged) {
            let conflicts = merged.unwrap_or_else(|error| {
                tracing::warn!(%error, pairs = ?task.pairs, "a merge could not be tried");
                Vec::new()
            });
            self.merged.insert(key, Arc::new(conflicts));
        }
        Ok(())
    }
}

/// The results in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let Some((nth, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, items.get(n)?)))
        {
            done.push((nth, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..THREADS.min(items.len())).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(nth, _)| *nth);
    done.into_iter().map(|(_, result)| result).collect()
}
