//! Making, listing and removing worktrees, beside git's own commands.

use std::time::Instant;

use anyhow::{Result, ensure};
use podium_client::Client;
use podium_harness::{TestEnvironment, TestRepo};
use podium_protocol::{
    RepoSelector, WorktreeCreate, WorktreeCreateParams, WorktreeList, WorktreeListMethod, WorktreeListParams,
    WorktreeRemove, WorktreeRemoveParams,
};

use crate::Effort;
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};
use crate::stats::Samples;

const FILES: usize = 2000;
const WORKTREES: usize = 20;
const LISTS: usize = 30;

/// Two repositories of the same content: one for us, one for git.
pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    // No remote: trunk is not fetched, as git does not fetch it either.
    let repo = |name: &str| environment.repo_builder().name(name).files(FILES).without_origin().build();
    let (mine, theirs) = (repo("mine"), repo("theirs"));
    environment.start_daemon();
    runtime()?.block_on(async {
        let ours = client(&environment, "bench");
        let at = RepoSelector { repo: Some(mine.path().display().to_string()), ..RepoSelector::default() };
        let created = create(&ours, &at, &theirs).await?;
        let listed = list(&ours, &at, &theirs, effort).await?;
        let removed = remove(&ours, &at, &theirs).await?;
        Ok(vec![created, listed, removed])
    })
}

async fn create(ours: &Client, at: &RepoSelector, theirs: &TestRepo<'_>) -> Result<Row> {
    let (mut made, mut added) = (Samples::default(), Samples::default());
    for number in 0..WORKTREES {
        let params = WorktreeCreateParams {
            at: at.clone(),
            kind: Some("feat".to_owned()),
            name: Some(format!("n{number}")),
            ..WorktreeCreateParams::default()
        };
        let start = Instant::now();
        let answer = ours.call::<WorktreeCreate>(params).await.map_err(told)?;
        made.push(start.elapsed());
        ensure!(answer.created, "{} was there", answer.worktree.name);
        let (branch, folder) = (format!("feat-n{number}"), format!("../theirs-n{number}"));
        added.time(|| theirs.git(["worktree", "add", "-q", "-b", &branch, &folder]));
    }
    Ok(Row::new(format!("create, {FILES} files"), Figure::ms(&made))
        .peer("git worktree add", Figure::ms(&added))
        .note("the peer's process start is part of its time"))
}

async fn list(ours: &Client, at: &RepoSelector, theirs: &TestRepo<'_>, effort: Effort) -> Result<Row> {
    let (mut listed, mut by_git) = (Samples::default(), Samples::default());
    for _ in 0..effort.times(LISTS) {
        let start = Instant::now();
        let params = WorktreeListParams { at: at.clone(), all: false };
        let WorktreeList { worktrees } = ours.call::<WorktreeListMethod>(params).await.map_err(told)?;
        listed.push(start.elapsed());
        ensure!(worktrees.len() == WORKTREES + 1, "{} worktrees are listed", worktrees.len());
        by_git.time(|| {
            theirs.git(["worktree", "list", "--porcelain"]);
            for number in 0..WORKTREES {
                theirs.git(["-C", &format!("../theirs-n{number}"), "status", "--porcelain=v2", "--branch"]);
            }
            theirs.git(["status", "--porcelain=v2", "--branch"])
        });
    }
    Ok(Row::new(format!("list {WORKTREES} with their status"), Figure::ms(&listed))
        .peer("git worktree list, git status in each", Figure::ms(&by_git)))
}

async fn remove(ours: &Client, at: &RepoSelector, theirs: &TestRepo<'_>) -> Result<Row> {
    let (mut removed, mut by_git) = (Samples::default(), Samples::default());
    for number in 0..WORKTREES {
        let name = Some(format!("feat-n{number}"));
        let params = WorktreeRemoveParams { at: at.clone(), name, ..WorktreeRemoveParams::default() };
        let start = Instant::now();
        ours.call::<WorktreeRemove>(params).await.map_err(told)?;
        removed.push(start.elapsed());
        by_git.time(|| theirs.git(["worktree", "remove", &format!("../theirs-n{number}")]));
    }
    Ok(Row::new("remove, kept for undo", Figure::ms(&removed))
        .peer("git worktree remove", Figure::ms(&by_git))
        .note("the peer keeps nothing to undo from, and leaves the branch"))
}
