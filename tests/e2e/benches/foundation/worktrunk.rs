//! worktrunk, the nearest neighbour, in the same run where somebody installed it (`cargo install worktrunk`).

use anyhow::{Result, ensure};
use podium_harness::{TestEnvironment, TestRepo, on_path};

use crate::report::{Figure, Row};
use crate::stats::Samples;

/// Worktrunk creates `rounds` worktrees; `None` where it is not installed.
pub(crate) fn creation(
    environment: &TestEnvironment,
    repo: &TestRepo<'_>,
    files: usize,
    rounds: usize,
) -> Result<Option<Row>> {
    if !on_path("wt") {
        return Ok(None);
    }
    let mut samples = Samples::default();
    for round in 0..rounds {
        let name = format!("wt-{round}");
        let made = samples.time(|| {
            environment.program("wt").args(["switch", "--create", &name, "--yes"]).within(repo).run()
        });
        ensure!(made.code == Some(0), "wt switch --create fails: {}", made.stderr);
        let listed = repo.git(["worktree", "list", "--porcelain"]);
        let of_branch = format!("branch refs/heads/{name}");
        let entry = listed.split("\n\n").find(|entry| entry.lines().any(|line| line == of_branch));
        let path = entry.and_then(|entry| entry.lines().next()?.strip_prefix("worktree "));
        ensure!(path.is_some(), "wt made no worktree of {name}");
        // The disk shall be as full for each.
        repo.git(["worktree", "remove", "--force", path.unwrap_or_default()]);
    }
    let name = format!("for comparison: wt switch --create, {files} files");
    Ok(Some(Row::new(name, Figure::ms(&samples))))
}

/// Worktrunk lists the worktrees with their status; `None` where it is not installed.
pub(crate) fn listing(environment: &TestEnvironment, repo: &TestRepo<'_>, rounds: usize) -> Option<Row> {
    if !on_path("wt") {
        return None;
    }
    let mut samples = Samples::default();
    for _ in 0..rounds {
        samples.time(|| {
            environment.program("wt").args(["list", "--format", "json"]).within(repo).run().success()
        });
    }
    Some(Row::new("for comparison: wt list", Figure::ms(&samples)))
}
