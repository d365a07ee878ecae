//! What a key does beyond the screen: it asks the daemon, or a program of the person's.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use podium_client::Client;
use podium_protocol::{
    ClaimAcquire, ClaimAcquireParams, ClaimRelease, ClaimReleaseParams, RepoRegister, RepoRegisterParams,
    SessionCancel, SessionCancelParams, SessionInfo, SessionListMethod, SessionListParams, SessionResume,
    SessionResumeParams, SessionStatus, WireError, Worktree,
};
use tokio::io::AsyncReadExt as _;

use crate::context::{selector_of, wire_path};
use crate::style::one_line;

/// Bytes of a diff that are shown.
const LONGEST: u64 = 2 * 1024 * 1024;

/// What a person wants to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Claim(Place),
    Release(Place),
    Diff(Place),
    Resume(Place),
    /// The session of this id.
    Kill(String),
}

/// The worktree it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) path: PathBuf,
    branch: Option<String>,
    /// As sessions have it.
    text: String,
    holder: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    Note(String),
    Diff { title: String, lines: Vec<String> },
}

impl Place {
    pub(super) fn of(worktree: &Worktree) -> Self {
        Self {
            name: worktree.name.clone(),
            path: wire_path(&worktree.path, worktree.path_bytes.as_ref()),
            branch: worktree.branch.clone(),
            text: worktree.path.clone(),
            holder: worktree.claim.as_ref().map(|claim| claim.agent_id.clone()),
        }
    }
}

/// Carries it out. A refusal is a note as well.
pub(super) async fn run(client: &Client, action: Action) -> Came {
    let done = match action {
        Action::Claim(place) => claim(client, &place).await,
        Action::Release(place) => release(client, &place).await,
        Action::Resume(place) => resume(client, &place).await,
        Action::Kill(id) => kill(client, id).await,
        Action::Diff(place) => {
            return match base(client, &place).await {
                Ok(base) => diff(&place, base.as_ref()).await,
                Err(error) => Came::Note(refused(&error)),
            };
        }
    };
    Came::Note(done.unwrap_or_else(|error| refused(&error)))
}

fn refused(error: &WireError) -> String {
    let hint = error.hints.first().map(|hint| format!(" ({})", one_line(hint))).unwrap_or_default();
    format!("{}{hint}", one_line(&error.message))
}

async fn claim(client: &Client, place: &Place) -> Result<String, WireError> {
    let params = ClaimAcquireParams { at: selector_of(&place.path), ..ClaimAcquireParams::default() };
    let claimed = client.call::<ClaimAcquire>(params).await?;
    Ok(format!("{} is claimed by {}", one_line(&place.name), one_line(&claimed.agent_id)))
}

/// A person may give back what their agents hold; the name makes it the owner's own release.
async fn release(client: &Client, place: &Place) -> Result<String, WireError> {
    let params = ClaimReleaseParams {
        at: selector_of(&place.path),
        agent_id: place.holder.clone(),
        ..ClaimReleaseParams::default()
    };
    client.call::<ClaimRelease>(params).await?;
    Ok(format!("{} is free", one_line(&place.name)))
}

/// The newest session that was cut off there.
async fn resume(client: &Client, place: &Place) -> Result<String, WireError> {
    let mut found: Vec<SessionInfo> = Vec::new();
    for status in [SessionStatus::Interrupted, SessionStatus::Parked] {
        let params = SessionListParams { status: Some(status), ..SessionListParams::default() };
        found.extend(client.call::<SessionListMethod>(params).await?.sessions);
    }
    found.retain(|session| session.worktree_path.as_deref() == Some(&place.text));
    let newest = found.into_iter().max_by(|a, b| a.updated_at.cmp(&b.updated_at));
    let Some(session) = newest else {
        return Ok(format!("no session waits to be resumed in {}", one_line(&place.name)));
    };
    let params = SessionResumeParams {
        id: Some(session.id.clone()),
        at: selector_of(&place.path),
        ..Default::default()
    };
    client.call::<SessionResume>(params).await?;
    Ok(format!("resumed: {}", one_line(&session.title)))
}

async fn kill(client: &Client, id: String) -> Result<String, WireError> {
    client.call::<SessionCancel>(SessionCancelParams { id }).await?;
    Ok("the session is cancelled".to_owned())
}

/// What work is compared with: trunk, wherever that is checked out.
struct Base {
    name: String,
    /// The newest commit of trunk that is known, as ahead and behind go by it.
    tip: String,
}

/// `None` for trunk itself, and where there is none.
async fn base(client: &Client, place: &Place) -> Result<Option<Base>, WireError> {
    let params = RepoRegisterParams { at: selector_of(&place.path) };
    let known = client.call::<RepoRegister>(params).await?;
    let is_trunk = place.branch.as_ref() == Some(&known.trunk);
    Ok(known.trunk_tip.filter(|_| !is_trunk).map(|tip| Base { name: known.trunk, tip }))
}

/// The work of a worktree since it left trunk, uncommitted changes included. Nothing that the repository names is run.
async fn diff(place: &Place, base: Option<&Base>) -> Came {
    let mut lines = Vec::new();
    let mut args = vec!["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short"];
    match base {
        Some(base) => args.extend(["--merge-base", &base.tip]),
        None => args.push("HEAD"),
    }
    args.push("--");
    let title = match base {
        Some(base) => format!("{} against {}", one_line(&place.name), one_line(&base.name)),
        None => format!("{}: not committed", one_line(&place.name)),
    };
    match git(&place.path, &args).await {
        Ok(text) => lines.extend(text.lines().map(shown)),
        Err(error) => return Came::Note(format!("git diff: {}", one_line(&error))),
    }
    if let Ok(new) = git(&place.path, &["ls-files", "--others", "--exclude-standard"]).await {
        lines.extend(new.lines().map(|path| format!("? {}", shown(path))));
    }
    if lines.is_empty() {
        return Came::Note(format!("{} has no changes", one_line(&place.name)));
    }
    Came::Diff { title, lines }
}

/// Tabs have a width and other controls none that a table could know of.
fn shown(line: &str) -> String {
    crate::style::printable(&line.replace('\t', "    "))
}

async fn git(folder: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = tokio::process::Command::new("git");
    command.args(["--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS"] {
        command.env_remove(name);
    }
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    if let Some(out) = child.stdout.take() {
        out.take(LONGEST).read_to_end(&mut text).await.map_err(|error| error.to_string())?;
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) < LONGEST {
        let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(said.lines().next().unwrap_or("it failed").to_owned());
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The program that a person opens folders with: their editor, else their shell.
pub(super) fn opener() -> (std::ffi::OsString, bool) {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match named("VISUAL").or_else(|| named("EDITOR")) {
        Some(editor) => (editor, true),
        None => (named("SHELL").unwrap_or_else(|| "/bin/sh".into()), false),
    }
}

/// Runs it in the folder until it ends; the terminal is its own meanwhile. An editor's variable may hold arguments, as
/// git reads it.
pub(super) fn open(folder: &Path) -> Result<(), String> {
    let (program, is_editor) = opener();
    let mut command = std::process::Command::new("/bin/sh");
    if is_editor {
        let line = format!("{} \"$@\"", program.to_string_lossy());
        command.args(["-c", &line, "open", "."]);
    } else {
        command = std::process::Command::new(&program);
    }
    let ended = command.current_dir(folder).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if !is_editor && status.code().is_some() => Ok(()),
        Ok(status) => Err(format!("{}: {status}", program.to_string_lossy())),
        Err(error) => Err(format!("{}: {error}", program.to_string_lossy())),
    }
}
