//! Making worktrees of a large repository: from a spare, without one, and thirteen at once, beside git itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use podium_harness::{Poll, TestEnvironment, TestRepo};

use crate::Effort;
use crate::report::{Figure, Row};
use crate::stats::Samples;
use crate::worktrunk;

const AT_ONCE: usize = 13;
/// Until the background has made or advanced the spares.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let files = if effort == Effort::Full { 50_000 } else { 5_000 };
    let rounds = effort.times(10);
    let environment = TestEnvironment::new();
    // No remote: trunk is not fetched, as git does not fetch it either.
    let repo = environment.repo_builder().files(files).without_origin().build();
    let mut rows = vec![
        from_spares(&environment, &repo, files, rounds)?,
        cold(&environment, &repo, files, rounds.min(5))?,
        at_once(&environment, &repo, files)?,
    ];
    rows.extend(worktrunk::creation(&environment, &repo, files, rounds.min(5))?);
    Ok(rows)
}

fn from_spares(
    environment: &TestEnvironment,
    repo: &TestRepo<'_>,
    files: usize,
    rounds: usize,
) -> Result<Row> {
    environment.imi(["list"]).within(repo).ok();
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..rounds {
        told(&format!("from a spare, {} of {rounds}", round + 1));
        let ready = || (spares(repo) == 2).then_some(());
        Poll::new(PATIENCE).until(ready).context("the spares are not made")?;
        let start = Instant::now();
        let made = environment.imi(["feat", &format!("spare{round}")]).within(repo).data();
        ours.push(start.elapsed());
        ensure!(made["fromSpare"] == true, "it was not from a spare: {made}");
        by_git(repo, &format!("git-spare{round}"), &[], &mut theirs);
    }
    Ok(Row::new(format!("create from a spare, {files} files, at the command line"), Figure::ms(&ours))
        .peer("git worktree add", Figure::ms(&theirs))
        .at_most(40.0)
        .ratio_at_most(0.05))
}

fn cold(environment: &TestEnvironment, repo: &TestRepo<'_>, files: usize, rounds: usize) -> Result<Row> {
    configure(repo, 0)?;
    environment.imi(["list"]).within(repo).ok();
    let (mut ours, mut serial, mut parallel) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..rounds {
        told(&format!("without a spare, {} of {rounds}", round + 1));
        let start = Instant::now();
        let made = environment.imi(["feat", &format!("cold{round}")]).within(repo).data();
        ours.push(start.elapsed());
        if made["fromSpare"] == true {
            // What was ready before the settings changed.
            continue;
        }
        by_git(repo, &format!("git-cold{round}"), &[], &mut serial);
        by_git(repo, &format!("git-parallel{round}"), &["-c", "checkout.workers=0"], &mut parallel);
    }
    let fastest = if serial.median() < parallel.median() { serial } else { parallel };
    Ok(Row::new(format!("create without a spare, {files} files"), Figure::ms(&ours))
        .peer("git worktree add, its fastest setting", Figure::ms(&fastest))
        .ratio_at_most(1.05))
}

fn at_once(environment: &TestEnvironment, repo: &TestRepo<'_>, files: usize) -> Result<Row> {
    configure(repo, 2)?;
    told(&format!("{AT_ONCE} at once"));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..AT_ONCE {
            scope.spawn(move || environment.imi(["feat", &format!("many{number}")]).within(repo).ok());
        }
    });
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    ours.push(start.elapsed());
    let start = Instant::now();
    told(&format!("{AT_ONCE} one after the other, by git"));
    for number in 0..AT_ONCE {
        by_git(repo, &format!("git-many{number}"), &[], &mut Samples::default());
    }
    theirs.push(start.elapsed());
    Ok(Row::new(format!("{AT_ONCE} at once, {files} files"), Figure::ms(&ours))
        .peer("git worktree add, one after the other", Figure::ms(&theirs))
        .note("at once git's own would fail over its locks"))
}

/// This part takes minutes: where it is.
fn told(place: &str) {
    eprintln!("  {place}");
}

fn by_git(repo: &TestRepo<'_>, name: &str, settings: &[&str], samples: &mut Samples) {
    let folder = format!("../{name}");
    let words = ["worktree", "add", "-q", "-b", name, folder.as_str()];
    samples.time(|| repo.git(settings.iter().copied().chain(words)));
    // The disk shall be as full for each.
    repo.git(["worktree", "remove", "--force", &folder]);
}

fn configure(repo: &TestRepo<'_>, spares: usize) -> Result<()> {
    let folder = repo.path().join(".podium");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("config.toml"), format!("[worktrees]\nspares = {spares}\n"))?)
}

/// Those that are whole.
fn spares(repo: &TestRepo<'_>) -> usize {
    let listed = repo.git(["worktree", "list", "--porcelain"]);
    let paths = listed.lines().filter_map(|line| line.strip_prefix("worktree "));
    paths.map(PathBuf::from).filter(|path| is_whole(repo.path(), path)).count()
}

fn is_whole(repo: &Path, path: &Path) -> bool {
    let in_pool = path.parent().and_then(Path::file_name).is_some_and(|name| name == ".spares");
    let name = path.file_name().unwrap_or_default();
    let admin = repo.join(".git/worktrees").join(name);
    in_pool && admin.join("index").exists() && !admin.join("index.lock").exists()
}
