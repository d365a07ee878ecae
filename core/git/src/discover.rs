//! From a path of any kind to the repository around it. The only place that follows a `.git` file.

use std::path::{Path, PathBuf};

use crate::bytes::{path_from_bytes, without_newline};
use crate::command::Git;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;

pub(crate) struct Found {
    pub(crate) common_dir: PathBuf,
    /// The worktree around the path; `None` inside a git folder or a bare repository.
    pub(crate) here: Option<WorktreeLocation>,
    pub(crate) superproject: Option<PathBuf>,
}

pub(crate) fn find(git: &Git, path: &Path) -> Result<Found> {
    let folder = nearest_folder(path)?;
    let git_dir = ask(git, &folder, "--absolute-git-dir")?.ok_or_else(|| not_found(&folder))?;
    let common_dir = ask(git, &folder, "--git-common-dir")?.ok_or_else(|| not_found(&folder))?;
    let git_dir = canonical(&git_dir)?;
    let top = match ask(git, &folder, "--show-toplevel") {
        Ok(top) => top,
        // Inside a git folder.
        Err(GitError::Failed { .. }) => None,
        Err(error) => return Err(error),
    };
    let superproject = ask(git, &folder, "--show-superproject-working-tree").ok().flatten();
    let here = match top {
        Some(top) => Some(WorktreeLocation { git_dir, path: canonical(&top)? }),
        None => None,
    };
    Ok(Found {
        common_dir: canonical(&common_dir)?,
        here,
        superproject: superproject.map(|path| canonical(&path)).transpose()?,
    })
}

fn nearest_folder(path: &Path) -> Result<PathBuf> {
    let real = path.canonicalize().map_err(|_| GitError::NoSuchPath { path: path.to_owned() })?;
    if real.is_dir() {
        return Ok(real);
    }
    real.parent().map(Path::to_owned).ok_or(GitError::NoSuchPath { path: real })
}

pub(crate) fn canonical(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| GitError::io(path, error))
}

/// One question at a time: paths may contain newlines, so two answers could not be told apart.
fn ask(git: &Git, folder: &Path, question: &str) -> Result<Option<PathBuf>> {
    let mut command = git.read();
    command.folder(folder).args(["rev-parse", "--path-format=absolute", question]);
    let outcome = command.attempt()?;
    if outcome.code != Some(0) {
        return Err(refusal(folder, &outcome.stderr).unwrap_or_else(|| command.failure(&outcome)));
    }
    let answer = without_newline(&outcome.stdout);
    Ok((!answer.is_empty()).then(|| path_from_bytes(answer)))
}

/// Reads git's complaint about a repository that it would not open.
pub(crate) fn refusal(folder: &Path, stderr: &str) -> Option<GitError> {
    let path = folder.to_owned();
    let detail = || stderr.lines().find(|line| line.starts_with("fatal:")).unwrap_or(stderr).to_owned();
    if stderr.contains("dubious ownership") {
        return Some(GitError::DubiousOwnership { path });
    }
    if stderr.contains("unknown repository extension")
        || stderr.contains("Expected git repo version")
        || stderr.contains("unknown ref storage format")
    {
        return Some(GitError::Unsupported { path, detail: detail() });
    }
    if stderr.contains("not a git repository") {
        return Some(not_found(folder));
    }
    let damaged = ["bad config", "invalid gitfile format", "corrupt", "bad object", "reftable: "];
    damaged.iter().any(|sign| stderr.contains(sign)).then(|| GitError::Corrupt { path, detail: detail() })
}

/// Git says "not a repository" of a damaged one too; the difference matters to who has to mend it.
fn not_found(folder: &Path) -> GitError {
    for ancestor in folder.ancestors() {
        let dot_git = ancestor.join(".git");
        if dot_git.is_file() {
            let detail = ".git points to a folder that is not a git folder".to_owned();
            return GitError::Corrupt { path: ancestor.to_owned(), detail };
        }
        if dot_git.join("objects").is_dir() {
            let detail = "its HEAD or its folders are missing or malformed".to_owned();
            return GitError::Corrupt { path: ancestor.to_owned(), detail };
        }
    }
    GitError::NotARepository { path: folder.to_owned() }
}
