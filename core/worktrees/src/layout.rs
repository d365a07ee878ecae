//! Where worktrees are put and what they are called.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use podium_git::{NameNote, ValidName, validate_name};
use podium_protocol::WireError;

use crate::error::{Error, Result};
use crate::paths;
use crate::rows::RepoRow;

/// Types that can be asked for.
pub(crate) const KINDS: &[&str] = &["feat", "fix", "aiops", "devops"];
/// Types that a folder's name can tell.
const KNOWN: &[&str] = &["feat", "fix", "aiops", "devops", "review", "trunk"];

/// Words that cannot be types: the command line has them.
pub(crate) const RESERVED: &[&str] = &[
    "review",
    "trunk",
    "sync",
    "spare",
    "other",
    "list",
    "ls",
    "status",
    "go",
    "claim",
    "release",
    "heartbeat",
    "remove",
    "rm",
    "undo",
    "merge",
    "close",
    "prune",
    "repair",
    "reconcile",
    "doctor",
    "du",
    "types",
    "init",
    "deinit",
    "monitor",
    "conflicts",
    "hooks",
    "completions",
    "help",
    "json",
    "pr",
];

/// Folders looked into for a main worktree, from a path upwards.
const PROJECT_DEPTH: usize = 3;

/// What a request for `feat x` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) branch: String,
    pub(crate) path: PathBuf,
    pub(crate) notes: Vec<String>,
}

impl Plan {
    pub(crate) fn new(
        kind: Option<&str>,
        own: &[String],
        name: Option<&str>,
        style: &str,
        repo: &RepoRow,
    ) -> Result<Self> {
        let kind = kind.unwrap_or("feat");
        if !KINDS.contains(&kind) && !own.iter().any(|own| own == kind) {
            let shown: String = kind.chars().take(40).collect();
            let error = WireError::usage(format!("`{shown}` is not a type of worktree"));
            let all: Vec<&str> = KINDS.iter().copied().chain(own.iter().map(String::as_str)).collect();
            return Err(error.hint(format!("types: {}", all.join(", "))).hint("imi types add NAME").into());
        }
        let asked = name.ok_or_else(|| WireError::usage("a worktree needs a name"))?;
        let valid = valid(asked)?;
        let separator = if style == "slash" { '/' } else { '-' };
        // Checked again as a whole: it has become longer.
        let branch = self::valid(&format!("{kind}{separator}{valid}"))?.to_string();
        let folder = format!("{kind}-{}", valid.folder());
        let path = folder_of(repo).join(&folder);
        let notes = valid.notes().iter().map(|note| said(*note, asked, valid.as_str())).collect();
        Ok(Self { kind: kind.to_owned(), name: folder, branch, path, notes })
    }
}

fn valid(name: &str) -> Result<ValidName> {
    validate_name(name).map_err(|error| Error::Git(error.into()))
}

fn said(note: NameNote, asked: &str, name: &str) -> String {
    match note {
        NameNote::SpacesReplaced => format!("`{asked}` became `{name}`"),
        NameNote::Normalized => format!("letters of `{name}` were composed (Unicode form C)"),
    }
}

/// Siblings of `trunk-*` in a project folder; beside anything else, in a folder of its own.
pub(crate) fn folder_of(repo: &RepoRow) -> PathBuf {
    match repo.root.parent() {
        Some(project) if is_project(repo) => project.to_owned(),
        _ => paths::beside(&repo.root, ".worktrees"),
    }
}

/// Whether the main worktree lies in a project folder.
pub(crate) fn is_project(repo: &RepoRow) -> bool {
    !repo.is_bare() && repo.root.file_name().is_some_and(is_trunk)
}

fn is_trunk(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"trunk-")
}

/// The main worktree in a project folder. `None` where several repositories share one: then nobody knows which is
/// meant.
pub(crate) fn main_in(project: &Path) -> Option<PathBuf> {
    let entries = project.read_dir().ok()?.flatten();
    let mut mains =
        entries.filter(|entry| is_trunk(&entry.file_name()) && entry.path().join(".git").is_dir());
    let main = mains.next()?.path();
    mains.next().is_none().then_some(main)
}

/// The main worktree of the project folder that a path outside of all worktrees lies in (`sync/repo`, say).
pub(crate) fn main_of_project(path: &Path) -> Option<PathBuf> {
    path.ancestors().take(PROJECT_DEPTH).find_map(main_in)
}

/// The type of a worktree made outside Podium, by the name of its folder.
pub(crate) fn kind_of(folder: &str) -> &'static str {
    let prefixed = |kind: &&&str| folder.strip_prefix(**kind).is_some_and(|rest| rest.starts_with('-'));
    KNOWN.iter().find(prefixed).copied().unwrap_or("other")
}

/// The number in the name of a review's folder.
pub(crate) fn pr_of(folder: &str) -> Option<u64> {
    let number = folder.strip_prefix("review-")?.parse().ok()?;
    (number > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(root: &str) -> RepoRow {
        RepoRow { id: "r".into(), common_dir: format!("{root}/.git").into(), root: root.into() }
    }

    #[test]
    fn names_become_folders_and_branches() {
        let plan = |name, style| Plan::new(Some("feat"), &[], Some(name), style, &repo("/p/clone"));
        let dash = plan("user auth", "dash").unwrap();
        assert_eq!((dash.name.as_str(), dash.branch.as_str()), ("feat-user-auth", "feat-user-auth"));
        assert_eq!(dash.path, PathBuf::from("/p/clone.worktrees/feat-user-auth"));
        assert_eq!(dash.notes, ["`user auth` became `user-auth`"]);
        let slash = plan("api/v2", "slash").unwrap();
        assert_eq!((slash.name.as_str(), slash.branch.as_str()), ("feat-api-v2", "feat/api/v2"));
        for bad in ["--upload-pack=x", "../x", "a..b", "x.lock", "", "a\nb", ".", &"x".repeat(300)] {
            assert!(plan(bad, "dash").is_err(), "{bad:?}");
        }
        assert!(Plan::new(Some("story"), &[], Some("x"), "dash", &repo("/p")).is_err());
        assert!(Plan::new(Some("story"), &["story".to_owned()], Some("x"), "dash", &repo("/p")).is_ok());
    }

    #[test]
    fn worktrees_lie_beside_a_trunk_folder_and_in_a_folder_beside_a_clone() {
        assert_eq!(folder_of(&repo("/p/trunk-main")), PathBuf::from("/p"));
        assert_eq!(folder_of(&repo("/p/clone")), PathBuf::from("/p/clone.worktrees"));
        let bare = RepoRow { id: "r".into(), common_dir: "/p/x.git".into(), root: "/p/x.git".into() };
        assert_eq!(folder_of(&bare), PathBuf::from("/p/x.git.worktrees"));
    }

    #[test]
    fn a_folder_tells_its_type() {
        assert_eq!(kind_of("feat-x"), "feat");
        assert_eq!(kind_of("feature"), "other");
        assert_eq!(kind_of("review-7"), "review");
    }
}
