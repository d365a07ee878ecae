//! The repository that `podium try` stands in: cloned, never touched.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use podium_cli::output::Failure;
use podium_protocol::WireError;

/// Variables that would point git somewhere else.
const GIT_VARIABLES: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];
/// Largest file the model is asked about, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Most of a file that goes into the prompt, in characters: reading the prompt takes the model time.
const EXCERPT: usize = 700;
/// Smallest file worth asking about, in characters.
const MIN_TEXT: usize = 80;

/// A repository with at least one commit.
#[derive(Debug)]
pub(super) struct Source {
    folder: PathBuf,
}

/// A file of the repository, and its beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) name: String,
    pub(super) text: String,
}

impl Source {
    /// # Errors
    /// `not_found` where there is no repository, `user` where it has no commit, `unavailable` without git.
    pub(super) fn find(path: Option<&Path>) -> Result<Self, Failure> {
        let folder = path.unwrap_or(Path::new("."));
        let folder = folder
            .canonicalize()
            .map_err(|_| WireError::not_found(format!("no folder {}", folder.display())))?;
        let git_dir = git(&folder, &["rev-parse", "--absolute-git-dir"]).map_err(|reason| match reason {
            GitError::Missing(error) => Failure::Wire(error),
            GitError::Failed(reason) => {
                WireError::not_found(format!("{} is not in a git repository: {reason}", folder.display()))
                    .hint("name one: podium try PATH")
                    .into()
            }
        })?;
        if git(&folder, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).is_err() {
            return Err(WireError::user(format!("the repository at {} has no commit yet", folder.display()))
                .hint("commit something first, or name another one: podium try PATH")
                .into());
        }
        // The work tree where there is one: a linked worktree is cloned at its own HEAD that way.
        let top = git(&folder, &["rev-parse", "--show-toplevel"]).ok().filter(|t| !t.is_empty());
        Ok(Self { folder: top.unwrap_or(git_dir).into() })
    }

    /// Clones into `target`, which does not exist yet. Gives whether HEAD was detached.
    ///
    /// # Errors
    /// What git says.
    pub(super) fn clone_to(&self, target: &Path) -> Result<bool, Failure> {
        let parent = target.parent().unwrap_or(target);
        let words: [OsString; 6] = [
            "clone".into(),
            "--quiet".into(),
            "--local".into(),
            "--".into(),
            self.folder.clone().into(),
            target.as_os_str().to_owned(),
        ];
        git(parent, &words).map_err(|error| error.into_failure("cannot clone"))?;
        let detached = git(target, &["symbolic-ref", "--quiet", "HEAD"]).is_err();
        if detached {
            // Trunk is a branch; a checkout without one (as build servers make it) gets one here.
            git(target, &["switch", "--quiet", "--create", "podium-try"])
                .map_err(|e| e.into_failure("cannot branch"))?;
        }
        Ok(detached)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The beginning of a text file of a clone: the README where there is one, else the first that is text.
///
/// # Errors
/// `user` where no file is text.
pub(super) fn excerpt(clone: &Path) -> Result<Excerpt, Failure> {
    let names = git(clone, &["ls-files", "-z"]).map_err(|e| e.into_failure("cannot list files"))?;
    let mut names: Vec<&str> = names.split('\0').filter(|n| !n.is_empty()).collect();
    names.sort_by_key(|name| {
        let lower = name.to_ascii_lowercase();
        (!lower.starts_with("readme"), !lower.ends_with(".md"), name.matches('/').count())
    });
    let found = names
        .into_iter()
        .find_map(|name| Some(Excerpt { name: name.to_owned(), text: beginning(&clone.join(name))? }));
    found.ok_or_else(|| WireError::user("the repository has no text file to ask about").into())
}

fn beginning(path: &Path) -> Option<String> {
    let metadata = path.symlink_metadata().ok()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let text: String = text.chars().take(EXCERPT).collect();
    let text = text.trim();
    (text.chars().count() >= MIN_TEXT && !text.contains('\0')).then(|| text.to_owned())
}

#[derive(Debug)]
enum GitError {
    Missing(Box<WireError>),
    Failed(String),
}

impl GitError {
    fn into_failure(self, doing: &str) -> Failure {
        match self {
            Self::Missing(error) => Failure::Wire(error),
            Self::Failed(reason) => WireError::unavailable(format!("{doing}: {reason}")).into(),
        }
    }
}

fn git<S: AsRef<std::ffi::OsStr>>(folder: &Path, words: &[S]) -> Result<String, GitError> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(words).stdin(Stdio::null());
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_LFS_SKIP_SMUDGE", "1");
    for name in GIT_VARIABLES {
        command.env_remove(name);
    }
    let output = command.output().map_err(|e| {
        GitError::Missing(Box::new(
            WireError::unavailable(format!("git cannot be run: {e}")).hint("install git"),
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said
        .lines()
        .find(|l| l.starts_with("fatal:") || l.starts_with("error:"))
        .unwrap_or("git gives no reason");
    Err(GitError::Failed(line.trim_start_matches("fatal: ").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository of the test's own, which reads no configuration of the machine.
    fn repository(folder: &Path, files: &[(&str, &str)]) {
        let run = |words: &[&str]| {
            let mut command = Command::new("git");
            command
                .arg("-C")
                .arg(folder)
                .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
                .args(words);
            command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
            assert!(command.output().unwrap().status.success(), "{words:?}");
        };
        std::fs::create_dir_all(folder).unwrap();
        run(&["init", "-q", "-b", "main"]);
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        if !files.is_empty() {
            run(&["add", "-A"]);
            run(&["commit", "-qm", "first"]);
        }
    }

    fn message(folder: &Path) -> String {
        match Source::find(Some(folder)) {
            Err(Failure::Wire(error)) => error.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_tried_on_is_refused_clearly() {
        let dir = tempfile::tempdir().unwrap();
        assert!(message(dir.path()).contains("is not in a git repository"));
        assert!(message(&dir.path().join("missing")).contains("no folder"));
        repository(dir.path(), &[]);
        assert!(message(dir.path()).contains("has no commit yet"));
    }

    #[test]
    fn a_clone_has_a_branch_though_the_source_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a b ü");
        repository(&folder, &[("sub/a.txt", "text")]);
        let source = Source::find(Some(&folder.join("sub"))).unwrap();
        assert!(!source.clone_to(&dir.path().join("one")).unwrap());
        git(&folder, &["checkout", "--quiet", "--detach"]).unwrap();
        // A commit no branch has: git guesses a branch for a detached HEAD where one is at the same commit.
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
        git(&folder, &[&who[..], &["commit", "--quiet", "--allow-empty", "-m", "second"]].concat()).unwrap();
        assert!(source.clone_to(&dir.path().join("two")).unwrap());
        let branch = git(&dir.path().join("two"), &["branch", "--show-current"]).unwrap();
        assert_eq!(branch, "podium-try");
        assert!(dir.path().join("two/sub/a.txt").is_file());
    }

    #[test]
    fn the_model_is_asked_about_the_readme_or_another_text() {
        let dir = tempfile::tempdir().unwrap();
        let long = "some words about it ".repeat(100);
        repository(
            dir.path(),
            &[("a.md", &long), ("docs/README.md", &long), ("README.md", &long), ("short.md", "x")],
        );
        let found = excerpt(dir.path()).unwrap();
        assert_eq!(found.name, "README.md");
        assert!(found.text.chars().count() <= EXCERPT);
        let other = tempfile::tempdir().unwrap();
        repository(other.path(), &[("bin/x", "\0\0\0"), ("z.md", &long)]);
        assert_eq!(excerpt(other.path()).unwrap().name, "z.md");
    }
}
