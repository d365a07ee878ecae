//! Merges and their undoing, stopped after each step, with trunk checked out and not; a new service recovers.

use std::path::{Path, PathBuf};

use podium_protocol::{WireError, WorktreeMergeParams, WorktreeMerged};
use podium_worktrees::Step;

use crate::bed::{Bed, person};
use crate::removal::undo;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trunk {
    CheckedOut,
    Elsewhere,
}

const BOTH: [Trunk; 2] = [Trunk::CheckedOut, Trunk::Elsewhere];

/// What the merge has to make of the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    FastForward,
    Commit,
    Squash,
}

struct Case {
    bed: Bed,
    path: PathBuf,
    way: Way,
    what: String,
    old: String,
    head: String,
}

impl Case {
    /// A worktree with a commit that changes, adds and deletes, and files that no commit has.
    async fn new(trunk: Trunk, way: Way, step: Step) -> Self {
        let bed = Bed::new();
        bed.commit(&bed.work, "gone.txt", "to go\n");
        bed.commit(&bed.work, ".gitignore", "*.log\n");
        bed.git(&bed.work, &["push", "-q", "origin", "main"]);
        let path = PathBuf::from(bed.create("x").await.worktree.path);
        std::fs::remove_file(path.join("gone.txt")).unwrap();
        std::fs::write(path.join("a.txt"), "changed\n").unwrap();
        let head = bed.commit(&path, "b.txt", "work\n");
        if way == Way::Commit {
            bed.commit(&bed.work, "meanwhile.txt", "meanwhile\n");
        }
        let old = bed.git(&bed.work, &["rev-parse", "main"]).trim().to_owned();
        if trunk == Trunk::Elsewhere {
            bed.git(&bed.work, &["switch", "-qc", "elsewhere"]);
        }
        // Ignored files of the user's, in both.
        std::fs::write(path.join("mine.log"), "mine\n").unwrap();
        std::fs::write(bed.work.join("mine.log"), "mine\n").unwrap();
        Self { bed, path, way, what: format!("{trunk:?} {way:?} {step:?}"), old, head }
    }

    async fn merge(&self, keep: bool) -> Result<WorktreeMerged, WireError> {
        let params = WorktreeMergeParams {
            at: self.bed.at(),
            name: Some("feat-x".to_owned()),
            keep,
            squash: self.way == Way::Squash,
            ..Default::default()
        };
        self.bed.service.merge(params, &person()).await
    }

    async fn stopped<T>(&mut self, step: Step, run: impl AsyncFnOnce(&Self) -> Result<T, WireError>) {
        *self.bed.stop_at.lock().unwrap() = Some(step);
        assert!(run(self).await.is_err(), "{}", self.what);
        self.bed.restart().await;
        self.in_order().await;
    }

    fn trunk(&self) -> String {
        self.bed.git(&self.bed.work, &["rev-parse", "main"]).trim().to_owned()
    }

    /// Git is sound, git and the store have the same worktrees, and nothing is half done or lost.
    async fn in_order(&self) {
        let (bed, what) = (&self.bed, &self.what);
        bed.git(&bed.work, &["fsck", "--strict", "--no-dangling"]);
        let listed = bed.git(&bed.work, &["worktree", "list", "--porcelain"]);
        assert!(!listed.contains("prunable"), "{what}: {listed}");
        let mut git: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("worktree ")).collect();
        let trees = bed.list().await;
        let mut ours: Vec<&str> = trees.iter().map(|tree| tree.path.as_str()).collect();
        git.sort_unstable();
        ours.sort_unstable();
        assert_eq!(git, ours, "{what}");
        for tree in git {
            assert_eq!(bed.git(Path::new(tree), &["status", "--porcelain"]), "", "{what}: {tree}");
        }
        assert!(bed.work.join("mine.log").exists(), "{what}");
        assert!(self.path.join("mine.log").exists() || !self.path.exists(), "{what}");
        let params = podium_protocol::RepoDoctorParams { at: bed.at() };
        let findings = bed.service.diagnose(params, &person()).await.unwrap().findings;
        assert_eq!(findings, [], "{what}");
    }

    /// Everything as before the merge, after as many undos as there are.
    async fn all_back(&self) {
        for _ in 0..2 {
            if self.trunk() != self.old || !self.path.exists() {
                undo(&self.bed).await.unwrap_or_else(|error| panic!("{}: {error}", self.what));
            }
        }
        assert_eq!(self.trunk(), self.old, "{}", self.what);
        assert_eq!(self.bed.git(&self.path, &["rev-parse", "HEAD"]).trim(), self.head, "{}", self.what);
        assert_eq!(std::fs::read_to_string(self.path.join("mine.log")).unwrap(), "mine\n", "{}", self.what);
        self.in_order().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_stopped_at_any_step_is_finished_or_taken_back_wherever_trunk_is() {
    let steps = [
        (Step::MergeIntent, false),
        (Step::MergeTrunkMoved, true),
        (Step::MergeRecorded, true),
        // The worktree goes with the merge.
        (Step::RemoveIntent, true),
        (Step::RemoveTreeMoved, true),
        (Step::RemoveAdminMoved, true),
        (Step::RemoveBranchDeleted, true),
    ];
    for trunk in BOTH {
        for (number, (step, moved)) in steps.into_iter().enumerate() {
            let way = [Way::FastForward, Way::Commit, Way::Squash][number % 3];
            let mut case = Case::new(trunk, way, step).await;
            case.stopped(step, async |case| case.merge_or_note().await).await;
            assert_eq!(case.trunk() != case.old, moved, "{}", case.what);
            assert_eq!(case.bed.events("worktree.merged").await.len(), usize::from(moved), "{}", case.what);
            case.all_back().await;
            case.merge(false).await.unwrap_or_else(|error| panic!("{}: {error}", case.what));
            case.in_order().await;
        }
    }
}

impl Case {
    /// A removal that fails is a note of the merge, not its failure.
    async fn merge_or_note(&self) -> Result<(), WireError> {
        match self.merge(false).await {
            Ok(merged) if merged.removed => Ok(()),
            Ok(merged) => Err(WireError::conflict(merged.notes.join("; "))),
            Err(error) => Err(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undone_merge_stopped_at_any_step_is_undone_wherever_trunk_is() {
    let steps = [
        Step::UnmergeIntent,
        Step::UnmergeTrunkMoved,
        Step::UndoIntent,
        Step::UndoBranchMade,
        Step::UndoAdminMoved,
        Step::UndoTreeMoved,
    ];
    for trunk in BOTH {
        for (number, step) in steps.into_iter().enumerate() {
            let way = [Way::FastForward, Way::Squash, Way::Commit][number % 3];
            let mut case = Case::new(trunk, way, step).await;
            assert!(case.merge(false).await.unwrap().removed, "{}", case.what);
            case.stopped(step, async |case| undo(&case.bed).await).await;
            assert_eq!(case.trunk(), case.old, "{}", case.what);
            assert_eq!(case.bed.events("worktree.unmerged").await.len(), 1, "{}", case.what);
            case.all_back().await;
        }
    }
}
