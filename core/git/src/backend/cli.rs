//! Reading through the git command line: works for every repository that git itself can open.

use std::path::Path;

use super::{Place, Reader};
use crate::admin;
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::{
    AheadBehind, ChangedFile, CommitInfo, Head, InProgress, Status, Unpushed, Untracked, Worktree,
    WorktreeLocation,
};
use crate::oid::Oid;
use crate::parse::{self, ParseError};

pub(crate) struct CliReader {
    place: Place,
}

impl CliReader {
    pub(crate) fn new(place: Place) -> Self {
        Self { place }
    }

    fn read_at(&self, git_dir: &Path) -> GitCommand {
        let mut command = self.place.read();
        command.git_dir(git_dir);
        if git_dir != self.place.common_dir {
            command.env("GIT_COMMON_DIR", &self.place.common_dir);
        }
        command
    }

    /// In a reftable repository these are references, not files.
    fn in_progress(&self, git_dir: &Path) -> Result<Option<InProgress>> {
        let from_files = admin::in_progress(git_dir);
        if from_files.is_some() || !self.place.reftable {
            return Ok(from_files);
        }
        let heads = [("CHERRY_PICK_HEAD", InProgress::CherryPick), ("REVERT_HEAD", InProgress::Revert)];
        for (name, operation) in heads {
            if self.resolve(git_dir, name)?.is_some() {
                return Ok(Some(operation));
            }
        }
        Ok(None)
    }

    fn read_status(&self, at: &WorktreeLocation, untracked: Untracked, renames: bool) -> Result<Vec<u8>> {
        let mut command = self.place.read_in(at);
        command.args(["status", "--porcelain=v2", "-z", "--no-ahead-behind"]);
        command.arg(if renames { "--find-renames" } else { "--no-renames" });
        command.arg(match untracked {
            Untracked::No => "--untracked-files=no",
            Untracked::Folded => "--untracked-files=normal",
            Untracked::All => "--untracked-files=all",
        });
        command.output()
    }
}

fn checked<T>(command: &GitCommand, parsed: Result<T, ParseError>) -> Result<T> {
    parsed.map_err(|error| command.unexpected(error.0))
}

impl Reader for CliReader {
    fn head(&self, git_dir: &Path) -> Result<Head> {
        let mut command = self.read_at(git_dir);
        let outcome = command.args(["symbolic-ref", "--quiet", "HEAD"]).attempt()?;
        let id = self.resolve(git_dir, "HEAD")?;
        let target = String::from_utf8_lossy(&outcome.stdout).trim_end().to_owned();
        let branch = target.strip_prefix("refs/heads/").unwrap_or(&target).to_owned();
        match (outcome.code, id) {
            (Some(0), Some(id)) => Ok(Head::Branch { name: branch, id }),
            (Some(0), None) => Ok(Head::Unborn { name: branch }),
            (Some(1), Some(id)) => Ok(Head::Detached { id }),
            (Some(1), None) => {
                Err(GitError::Corrupt { path: git_dir.to_owned(), detail: "HEAD names no commit".into() })
            }
            _ => Err(command.failure(&outcome)),
        }
    }

    fn resolve(&self, git_dir: &Path, rev: &str) -> Result<Option<Oid>> {
        let mut command = self.read_at(git_dir);
        command.args(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
        let outcome = command.arg(format!("{rev}^{{commit}}")).attempt()?;
        match outcome.code {
            Some(0) => {
                let line = outcome.stdout.trim_ascii();
                checked(&command, parse::oid(line)).map(Some)
            }
            Some(1 | 128) => Ok(None),
            _ => Err(command.failure(&outcome)),
        }
    }

    fn find_ref(&self, refname: &str) -> Result<Option<Oid>> {
        let mut command = self.place.read();
        command.args(["for-each-ref", "--format=%(objectname) %(refname)"]).arg("--").arg(refname);
        let refs = checked(&command, parse::refs(&command.output()?))?;
        // The pattern also matches everything below it.
        Ok(refs.into_iter().find(|(name, _)| name == refname).map(|(_, id)| id))
    }

    fn symbolic_target(&self, refname: &str) -> Result<Option<String>> {
        let mut command = self.place.read();
        let outcome = command.args(["symbolic-ref", "--quiet", "--", refname]).attempt()?;
        match outcome.code {
            Some(0) => Ok(Some(String::from_utf8_lossy(&outcome.stdout).trim_end().to_owned())),
            Some(1 | 128) => Ok(None),
            _ => Err(command.failure(&outcome)),
        }
    }

    fn refs_under(&self, prefix: &str) -> Result<Vec<(String, Oid)>> {
        let mut command = self.place.read();
        let format = "%(if)%(symref)%(then)%(else)%(objectname) %(refname)%(end)";
        command.args(["for-each-ref", "--sort=refname"]).arg(format!("--format={format}"));
        command.arg("--").arg(prefix);
        checked(&command, parse::refs(&command.output()?))
    }

    fn worktrees(&self) -> Result<Vec<Worktree>> {
        let mut command = self.place.read();
        command.args(["worktree", "list", "--porcelain", "-z"]);
        let listed = checked(&command, parse::worktree_list(&command.output()?))?;
        let folders = admin::admin_folders(&self.place.common_dir)?;
        let mut worktrees = Vec::with_capacity(listed.len());
        for (index, item) in listed.into_iter().enumerate() {
            let main = index == 0;
            let location = if main {
                let path = self.place.main_worktree.clone().unwrap_or(self.place.common_dir.clone());
                WorktreeLocation { git_dir: self.place.common_dir.clone(), path }
            } else {
                let path = admin::tidy(&item.path);
                // Removed between the two looks: it is gone.
                let Some(folder) = folders.iter().find(|folder| folder.path == path) else { continue };
                WorktreeLocation { git_dir: folder.git_dir.clone(), path }
            };
            let branch = item.branch.map(|name| name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned());
            let head = match (branch, item.head) {
                (Some(name), Some(id)) => Some(Head::Branch { name, id }),
                (Some(name), None) => Some(Head::Unborn { name }),
                (None, Some(id)) => Some(Head::Detached { id }),
                (None, None) => None,
            };
            worktrees.push(Worktree {
                location,
                head,
                main,
                bare: main && self.place.main_worktree.is_none(),
                locked: item.locked,
                prunable: item.prunable,
            });
        }
        // `false` first: the main worktree.
        worktrees.sort_by_key(|worktree| (!worktree.main, worktree.location.git_dir.clone()));
        Ok(worktrees)
    }

    fn status(&self, at: &WorktreeLocation, untracked: Untracked) -> Result<Status> {
        let output = match self.read_status(at, untracked, true) {
            // Similarity needs both contents, and a partial clone may lack one.
            Err(GitError::Failed { .. }) => self.read_status(at, untracked, false)?,
            read => read?,
        };
        let entries = parse::status(&output)
            .map_err(|error| GitError::Unexpected { command: "git status".into(), detail: error.0.into() })?;
        Ok(Status::of(entries, self.in_progress(&at.git_dir)?))
    }

    fn ahead_behind(&self, head: &Oid, base: &Oid) -> Result<AheadBehind> {
        let mut command = self.place.read();
        command.args(["rev-list", "--left-right", "--count"]).arg(format!("{head}...{base}")).arg("--");
        let (ahead, behind) = checked(&command, parse::left_right(&command.text()?))?;
        Ok(AheadBehind { ahead, behind })
    }

    fn merge_base(&self, a: &Oid, b: &Oid) -> Result<Option<Oid>> {
        let mut command = self.place.read();
        let outcome = command.args(["merge-base", a.as_str(), b.as_str()]).attempt()?;
        match outcome.code {
            Some(0) => checked(&command, parse::oid(outcome.stdout.trim_ascii())).map(Some),
            Some(1) => Ok(None),
            _ => Err(command.failure(&outcome)),
        }
    }

    fn commit(&self, id: &Oid) -> Result<CommitInfo> {
        let mut command = self.place.read();
        command.args(["log", "-1", "--no-show-signature", "--no-mailmap", "--no-color"]);
        command.args(["--encoding=UTF-8", "--format=%H%x00%ct%x00%an%x00%s", id.as_str(), "--"]);
        checked(&command, parse::commit(&command.output()?))
    }

    fn unpushed(&self, tip: &Oid, known: &[Oid], newest: usize) -> Result<Unpushed> {
        let select = |command: &mut GitCommand| {
            command.args([tip.as_str(), "--not", "--remotes"]);
            command.args(known.iter().map(Oid::as_str)).arg("--");
        };
        let mut count = self.place.read();
        select(count.args(["rev-list", "--count"]));
        let text = count.text()?;
        let total = text.parse().map_err(|_| count.unexpected("not a number"))?;
        if newest == 0 || total == 0 {
            return Ok(Unpushed { count: total, newest: Vec::new() });
        }
        let mut list = self.place.read();
        select(list.arg("rev-list").arg(format!("--max-count={newest}")));
        let lines = list.text()?;
        let newest = lines.lines().map(|line| checked(&list, parse::oid(line.as_bytes())));
        Ok(Unpushed { count: total, newest: newest.collect::<Result<_>>()? })
    }

    fn changed_files(&self, from: &Oid, to: &Oid) -> Result<Vec<ChangedFile>> {
        let mut command = self.place.read();
        // The plumbing form: no external diff, no text conversion, no configuration.
        command.args(["diff-tree", "-r", "-z", "--name-status", "--no-renames"]);
        command.args([from.as_str(), to.as_str(), "--"]);
        let mut files = checked(&command, parse::name_status(&command.output()?))?;
        files.sort();
        Ok(files)
    }

    fn blob(&self, id: &Oid, limit: usize) -> Result<Vec<u8>> {
        let mut command = self.place.read();
        command.stdout_limit(limit).args(["cat-file", "blob", id.as_str()]).output()
    }

    fn config(&self, key: &str) -> Result<Option<String>> {
        let mut command = self.place.read();
        let outcome = command.args(["config", "--get", "-z", "--", key]).attempt()?;
        match outcome.code {
            Some(0) => Ok(Some(String::from_utf8_lossy(&outcome.stdout).trim_end_matches('\0').to_owned())),
            Some(1) => Ok(None),
            _ => Err(command.failure(&outcome)),
        }
    }

    fn remotes(&self) -> Result<Vec<String>> {
        let mut remotes: Vec<_> =
            self.place.read().arg("remote").text()?.lines().map(str::to_owned).collect();
        remotes.sort();
        Ok(remotes)
    }
}
