//! `git.diff`, `git.commit`, `git.apply`: in the worktree of the run, through the one wrapper of git.

use std::path::PathBuf;
use std::time::Duration;

use podium_git::{CommitPaths, GitError, Repo, Untracked, WorktreeLocation};
use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use serde_json::{Value, json};

use super::files::blocking;
use super::{Arguments, Bench, Outputs};

/// How long to wait for the turn to change the repository.
const TURN: Duration = Duration::from_secs(120);
/// Largest diff, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// Commits of the branch that are looked through for one of ours.
const LOOK_BACK: &str = "--max-count=200";
/// Names the action that a commit was made by.
const TRAILER: &str = "Podium-Action";

/// Outputs `diff` and `files`; new files that git does not ignore are shown too.
pub(super) async fn diff(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let base = args.optional_text("base")?.unwrap_or_else(|| "HEAD".to_owned());
    let paths = args.texts("paths")?;
    let (repo, at) = bench.repo().await?;
    let (diff, files) = blocking(move || look(&repo, &at, &base, &paths).map_err(failed)).await?;
    let diff = bench.keep("diff", "text/x-diff", "code", Value::String(diff)).await?;
    Ok(Outputs::from_iter([("diff".to_owned(), diff), ("files".to_owned(), json!(files))]))
}

fn look(
    repo: &Repo,
    at: &WorktreeLocation,
    base: &str,
    paths: &[String],
) -> Result<(String, Vec<String>), GitError> {
    let base = repo.resolve(at, base)?;
    let command = |words: &[&str]| {
        let mut command = repo.read_command(at);
        command.arg("--literal-pathspecs").args(words.iter().copied());
        command.arg(base.as_str()).arg("--").args(paths.iter().cloned()).stdout_limit(LARGEST);
        command
    };
    let diff = command(&["diff", "--no-ext-diff", "--no-textconv", "--no-color"]).output()?;
    let named = command(&["diff", "--name-only", "-z", "--no-ext-diff"]).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let names = named.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut files: Vec<String> = names.map(text).collect();
    let mut diff = text(&diff);
    for path in untracked(repo, at, paths)? {
        let mut new = repo.read_command(at);
        new.args(["diff", "--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--", "/dev/null"]);
        new.arg(&path).stdout_limit(LARGEST);
        // 1 says that they differ.
        diff += &text(&new.attempt()?.stdout);
        files.push(path);
        if diff.len() > LARGEST {
            break;
        }
    }
    files.sort_unstable();
    Ok((diff, files))
}

fn untracked(repo: &Repo, at: &WorktreeLocation, paths: &[String]) -> Result<Vec<String>, GitError> {
    let mut list = repo.read_command(at);
    list.args(["--literal-pathspecs", "ls-files", "--others", "--exclude-standard", "-z", "--"]);
    let listed = list.args(paths.iter().cloned()).output()?;
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| std::str::from_utf8(name).ok().map(str::to_owned)).collect())
}

/// Outputs `commit`, null where nothing changed. A commit carries the key of its action, so that an attempt that was cut
/// off behind it finds it.
pub(super) async fn commit(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let (message, paths) = (args.text("message")?, args.texts("paths")?);
    if message.trim().is_empty() {
        return Err(NodeError::new(FailureKind::BadInput, "a commit needs a message"));
    }
    bench.permit(call, "commits", Some(&message)).await?;
    let (repo, at) = bench.repo().await?;
    let env = bench.env();
    let by = author(&repo, env.get("GIT_AUTHOR_NAME"), env.get("GIT_AUTHOR_EMAIL"), bench);
    let (key, interrupted) = (call.key.as_str().to_owned(), call.interrupted);
    let work = move || {
        let writer = repo.write(TURN).map_err(failed)?;
        if interrupted && let Some(made) = made_by(&repo, &at, &key).map_err(failed)? {
            return Ok(Some(made));
        }
        let status = repo.status(&at, Untracked::All).map_err(failed)?;
        let asked = |path: &PathBuf| paths.is_empty() || paths.iter().any(|prefix| path.starts_with(prefix));
        let changed: Vec<PathBuf> = status.entries.iter().map(|entry| entry.path.clone()).collect();
        let staged = status.entries.iter().filter(|entry| entry.staged).map(|entry| entry.path.clone());
        let order = CommitPaths {
            unstage: staged.filter(|path| !asked(path)).collect(),
            paths: changed.into_iter().filter(asked).collect(),
            message: format!("{}\n\n{TRAILER}: {key}\n", message.trim_end()),
            by,
        };
        writer.commit_paths(&at, &order).map_err(failed).map(|id| id.map(|id| id.as_str().to_owned()))
    };
    let commit = blocking(work).await?;
    Ok(Outputs::from_iter([("commit".to_owned(), json!(commit))]))
}

/// The commit that an earlier attempt of the action made.
fn made_by(repo: &Repo, at: &WorktreeLocation, key: &str) -> Result<Option<String>, GitError> {
    if repo.head(at)?.id().is_none() {
        return Ok(None);
    }
    let mut log = repo.read_command(at);
    log.args(["log", LOOK_BACK, "--format=%H", "--fixed-strings"]).arg(format!("--grep={TRAILER}: {key}"));
    let found = log.arg("HEAD").text()?;
    Ok(found.lines().next().map(str::to_owned))
}

/// As git would have it; an agent's run commits in the agent's name.
fn author(repo: &Repo, name: Option<&String>, address: Option<&String>, bench: &Bench) -> (String, String) {
    let starter = &bench.known().starter;
    if starter.session.is_some() {
        return (starter.name.clone(), format!("{}@agents.invalid", starter.name.replace([' ', '@'], "-")));
    }
    let configured = |key: &str| repo.config(key).ok().flatten().filter(|value| !value.trim().is_empty());
    let name = name.cloned().or_else(|| configured("user.name"));
    let address = address.cloned().or_else(|| configured("user.email"));
    let person = starter.name.strip_prefix("person:").unwrap_or(&starter.name);
    (name.unwrap_or_else(|| person.to_owned()), address.unwrap_or_else(|| person.to_owned()))
}

/// Outputs `files`.
pub(super) async fn apply(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let mut patch = args.text("patch")?;
    if patch.trim().is_empty() {
        return Ok(Outputs::from_iter([("files".to_owned(), json!([]))]));
    }
    if !patch.ends_with('\n') {
        patch.push('\n');
    }
    bench.permit(call, "applies a patch", Some(&patch)).await?;
    let (repo, at) = bench.repo().await?;
    let interrupted = call.interrupted;
    let work = move || {
        let writer = repo.write(TURN).map_err(failed)?;
        writer.apply_patch(&at, patch.as_bytes(), interrupted).map_err(failed)
    };
    let files: Vec<String> = blocking(work).await?.iter().map(|path| path.display().to_string()).collect();
    Ok(Outputs::from_iter([("files".to_owned(), json!(files))]))
}

fn failed(error: GitError) -> NodeError {
    let kind = match error.kind() {
        podium_git::ErrorKind::Busy | podium_git::ErrorKind::Unavailable => FailureKind::Unavailable,
        podium_git::ErrorKind::Internal => FailureKind::Internal,
        _ => FailureKind::Failed,
    };
    NodeError::new(kind, error.to_string())
}
