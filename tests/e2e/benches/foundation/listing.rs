//! Lists and prompts from what is watched, beside git's own look, and what the watching costs while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use podium_client::Client;
use podium_harness::{TestEnvironment, TestRepo, process};
use podium_protocol::{
    RepoSelector, WorktreeListMethod, WorktreeListParams, WorktreeStatusMethod, WorktreeStatusParams,
};

use crate::Effort;
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};
use crate::stats::Samples;
use crate::worktrunk;

const WORKTREES: usize = 20;
const ROUNDS: usize = 40;
/// Time over which an idle daemon's processor time is counted.
const IDLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let files = if effort == Effort::Full { 50_000 } else { 500 };
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().files(files).without_origin().build();
    for number in 0..WORKTREES {
        repo.git(["worktree", "add", "-q", "-b", &format!("b{number}"), &format!("../many/w{number}")]);
    }
    let daemon = environment.start_daemon();
    let mut rows = runtime()?.block_on(async {
        let ours = client(&environment, "bench");
        let at = RepoSelector { repo: Some(repo.path().display().to_string()), ..RepoSelector::default() };
        settle(&ours, &at, daemon).await?;
        let daemon = at_daemon(&ours, &at, effort).await?;
        let prompt = prompt_at_daemon(&ours, &at, effort).await?;
        Ok::<_, anyhow::Error>(vec![daemon, prompt])
    })?;
    rows.push(at_command_line(&environment, &repo, effort));
    rows.extend(worktrunk::listing(&environment, &repo, effort.times(ROUNDS / 4)));
    rows.push(prompt(&environment, &repo, effort));
    rows.extend(idle(daemon, files)?);
    Ok(rows)
}

/// Waits until all trees are watched and looked at: the daemon rests, and a list is quick.
async fn settle(ours: &Client, at: &RepoSelector, daemon: u32) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        list(ours, at).await?;
        let before = ticks(daemon)?;
        // tidy-allow(sleep): whether the daemon rests shows in the time it used meanwhile
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        list(ours, at).await?;
        if ticks(daemon)? - before < 5 && start.elapsed() < Duration::from_millis(20) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the daemon does not come to rest");
    }
}

async fn list(ours: &Client, at: &RepoSelector) -> Result<()> {
    let params = WorktreeListParams { at: at.clone(), all: false };
    let listed = ours.call::<WorktreeListMethod>(params).await.map_err(told)?;
    ensure!(listed.worktrees.len() == WORKTREES + 1, "{} worktrees are listed", listed.worktrees.len());
    ensure!(listed.worktrees.iter().all(|worktree| worktree.status.is_some()), "each has its status");
    Ok(())
}

async fn at_daemon(ours: &Client, at: &RepoSelector, effort: Effort) -> Result<Row> {
    let mut listed = Samples::default();
    for _ in 0..effort.times(ROUNDS) {
        let start = Instant::now();
        list(ours, at).await?;
        listed.push(start.elapsed());
    }
    Ok(Row::new(format!("list {WORKTREES} with their status, at the daemon"), Figure::ms(&listed))
        .at_most(2.0))
}

async fn prompt_at_daemon(ours: &Client, at: &RepoSelector, effort: Effort) -> Result<Row> {
    let mut asked = Samples::default();
    for _ in 0..effort.times(ROUNDS) {
        let params = WorktreeStatusParams { at: at.clone(), name: None, short: true };
        let start = Instant::now();
        ours.call::<WorktreeStatusMethod>(params).await.map_err(told)?;
        asked.push(start.elapsed());
    }
    Ok(Row::new("prompt status, at the daemon", Figure::ms(&asked)))
}

fn at_command_line(environment: &TestEnvironment, repo: &TestRepo<'_>, effort: Effort) -> Row {
    let (mut ours, mut by_git) = (Samples::default(), Samples::default());
    for _ in 0..effort.times(ROUNDS / 4) {
        ours.time(|| environment.imi(["list"]).within(repo).run().success());
        by_git.time(|| {
            repo.git(["worktree", "list", "--porcelain"]);
            for number in 0..WORKTREES {
                repo.git(["-C", &format!("../many/w{number}"), "status", "--porcelain=v2", "--branch"]);
            }
        });
    }
    Row::new(format!("imi list, {WORKTREES} with their status"), Figure::ms(&ours))
        .peer("git worktree list, git status in each", Figure::ms(&by_git))
        .at_most(15.0)
}

fn prompt(environment: &TestEnvironment, repo: &TestRepo<'_>, effort: Effort) -> Row {
    let (mut ours, mut by_git) = (Samples::default(), Samples::default());
    for _ in 0..effort.times(ROUNDS) {
        ours.time(|| environment.imi(["status", "--short"]).within(repo).run().success());
        by_git.time(|| repo.git(["status", "--porcelain=v2", "--branch"]));
    }
    Row::new("imi status --short", Figure::ms(&ours)).peer("git status", Figure::ms(&by_git)).at_most(8.0)
}

fn idle(daemon: u32, files: usize) -> Result<Vec<Row>> {
    let before = ticks(daemon)?;
    // tidy-allow(sleep): what is measured is the cost of a time without requests
    std::thread::sleep(IDLE);
    let spent = ticks(daemon)? - before;
    #[expect(clippy::cast_precision_loss, reason = "some megabytes, some ticks")]
    let (memory, share) = (
        process::resident_bytes(daemon) as f64 / 1e6,
        // A tick is a hundredth of a second.
        spent as f64 / (IDLE.as_secs_f64() * 100.0) * 100.0,
    );
    let note = format!("{WORKTREES} worktrees of {files} files watched; MB of 10^6 bytes, VmRSS");
    Ok(vec![
        Row::new("daemon, watching", Figure::of(memory, "MB", 1)).at_most(120.0).note(note),
        Row::new("daemon, watching, processor", Figure::of(share, "%", 1)).at_most(1.0),
    ])
}

/// Processor time of a process so far, in hundredths of a second.
fn ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).context("a process has a name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next =
        || fields.next().and_then(|field| field.parse::<u64>().ok()).context("a process has times");
    Ok(next()? + next()?)
}
