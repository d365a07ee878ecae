//! From one save to the event that tells who conflicts now, among twenty worktrees that all changed something.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use podium_client::Client;
use podium_harness::{TestEnvironment, TestRepo};
use podium_protocol::{
    RepoSelector, WorktreeConflictsMethod, WorktreeConflictsParams, WorktreeCreate, WorktreeCreateParams,
};

use crate::Effort;
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};
use crate::stats::Samples;

const FILES: usize = 2000;
const WORKTREES: usize = 20;
const SAVES: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().files(FILES).without_origin().build();
    environment.start_daemon();
    runtime()?.block_on(async {
        let ours = client(&environment, "bench");
        let at = RepoSelector { repo: Some(repo.path().display().to_string()), ..RepoSelector::default() };
        let trees = worktrees(&ours, &at).await?;
        let file = "d0/f0.txt";
        let text = std::fs::read_to_string(trees[0].join(file)).context("a file of the repository")?;
        // Everybody has work of their own, and two thirds of it in one file.
        for (number, tree) in trees.iter().enumerate().skip(1) {
            std::fs::write(tree.join(format!("own-{number}.txt")), "own\n")?;
            if number % 3 != 0 {
                std::fs::write(tree.join(file), format!("{text}line {number}\n"))?;
            }
        }
        conflicts(&ours, &at).await?;
        let saved = save(&ours, &trees[0].join(file), &text, effort).await?;
        let asked = ask(&ours, &at, effort).await?;
        let peer = by_git(&repo, effort);
        Ok(vec![
            Row::new(format!("one save to its event, {WORKTREES} worktrees"), Figure::ms(&saved))
                .peer("git merge-tree, commits only, 19 times", Figure::ms(&peer))
                .note("the peer does not see what is not committed"),
            Row::new("conflicts, nothing changed", Figure::ms(&asked)),
        ])
    })
}

async fn worktrees(ours: &Client, at: &RepoSelector) -> Result<Vec<PathBuf>> {
    let mut trees = Vec::new();
    for number in 0..WORKTREES {
        let params = WorktreeCreateParams {
            at: at.clone(),
            kind: Some("feat".to_owned()),
            name: Some(format!("n{number}")),
            ..WorktreeCreateParams::default()
        };
        let made = ours.call::<WorktreeCreate>(params).await.map_err(told)?;
        trees.push(made.worktree.path.into());
    }
    Ok(trees)
}

async fn conflicts(ours: &Client, at: &RepoSelector) -> Result<usize> {
    let params = WorktreeConflictsParams { at: at.clone(), name: None };
    Ok(ours.call::<WorktreeConflictsMethod>(params).await.map_err(told)?.pairs.len())
}

/// Begins and ends a conflict by turns, by nothing but a save.
async fn save(ours: &Client, file: &std::path::Path, text: &str, effort: Effort) -> Result<Samples> {
    let mut saved = Samples::default();
    let kinds = vec!["worktree.conflict".to_owned(), "worktree.conflict.*".to_owned()];
    let mut events = ours.subscribe(None, kinds).await.map_err(told)?;
    for round in 0..effort.times(SAVES) {
        let begins = round % 2 == 0;
        let wanted = if begins { "worktree.conflict" } else { "worktree.conflict.cleared" };
        let start = Instant::now();
        std::fs::write(file, if begins { format!("{text}line {round} of ours\n") } else { text.to_owned() })?;
        let wait = async {
            while let Some(event) = events.next().await {
                if event.kind == wanted {
                    return true;
                }
            }
            false
        };
        let came = tokio::time::timeout(PATIENCE, wait).await.context("the event of a save")?;
        anyhow::ensure!(came, "the events ended");
        saved.push(start.elapsed());
    }
    Ok(saved)
}

async fn ask(ours: &Client, at: &RepoSelector, effort: Effort) -> Result<Samples> {
    let mut asked = Samples::default();
    for _ in 0..effort.times(SAVES) {
        let start = Instant::now();
        conflicts(ours, at).await?;
        asked.push(start.elapsed());
    }
    Ok(asked)
}

fn by_git(repo: &TestRepo<'_>, effort: Effort) -> Samples {
    let mut merged = Samples::default();
    for _ in 0..effort.times(3) {
        merged.time(|| {
            for number in 1..WORKTREES {
                repo.git(["merge-tree", "--write-tree", "feat-n0", &format!("feat-n{number}")]);
            }
            String::new()
        });
    }
    merged
}
