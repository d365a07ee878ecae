//! Moving the branch to what came over, and the worktree's index with it. Each step can be the last: the record says what is
//! left to do.

use std::path::Path;

use super::hostile::Inside;
use super::record::Record;
use super::{Fetched, ImportLimits, PrivateCommon};
use crate::error::{GitError, Result};
use crate::oid::Oid;
use crate::write::RepoWriter;

/// Longest subject in the reflog, in characters.
const SUBJECT: usize = 120;

/// What came over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub branch: String,
    pub old: Option<Oid>,
    pub new: Oid,
    pub commits: u64,
    /// Whether the worktree's index followed. Otherwise another git held it, and the next import tries again.
    pub index: bool,
}

impl PrivateCommon {
    /// [`PrivateCommon::fetch`] and [`PrivateCommon::land`] in one. `None` if nothing was committed.
    ///
    /// # Errors
    /// Those of both.
    pub fn import(
        &self,
        writer: &RepoWriter,
        rewritten: bool,
        limits: &ImportLimits,
    ) -> Result<Option<Imported>> {
        let fetched = self.fetch(rewritten, limits)?;
        fetched.map(|fetched| self.land(writer, &fetched)).transpose()
    }

    /// Moves the branch by compare-and-swap, then the worktree's index. No hook runs: those of the user ran inside.
    ///
    /// # Errors
    /// `RefMoved` when the branch moved meanwhile.
    pub fn land(&self, writer: &RepoWriter, fetched: &Fetched) -> Result<Imported> {
        let record = Record::read(&self.folder)?;
        let outside = self.repo.branch(&record.branch)?;
        let mut record = record.settled(outside.as_ref());
        let refname = format!("refs/heads/{}", record.branch);
        if outside.as_ref() != Some(&fetched.new) {
            if self.repo.symbolic_target(&refname)?.is_some() {
                return Err(GitError::InvalidArgument(refname));
            }
            record.landing = Some(fetched.new.clone());
            record.write(&self.folder)?;
            self.move_branch(writer, &refname, fetched)?;
        }
        let index = self.follow(writer, &record, &fetched.new)?;
        record.base = Some(fetched.new.clone());
        record.landing = None;
        if index {
            record.index.clone_from(&record.base);
            record.carried.clear();
        }
        record.write(&self.folder)?;
        let Fetched { old, new, commits } = fetched.clone();
        Ok(Imported { branch: record.branch, old, new, commits, index })
    }

    fn move_branch(&self, writer: &RepoWriter, refname: &str, fetched: &Fetched) -> Result<()> {
        let zero = self.repo.object_format().zero();
        let old = fetched.old.as_ref().map_or(zero.as_str(), Oid::as_str);
        // From within the worktree, whose HEAD then has it in its reflog too.
        let mut command = self.repo.place().change_in(&self.at);
        command.without_hooks().args(["update-ref", "--no-deref", "-m"]).arg(self.reason(fetched)?);
        command.args(["--", refname, fetched.new.as_str(), old]);
        match writer.run_ok(&command) {
            Ok(_) => Ok(()),
            Err(error) => match self.repo.find_ref(refname)? {
                found if found == fetched.old => Err(error),
                found => {
                    let expected = fetched.old.clone().unwrap_or_else(|| fetched.new.clone());
                    Err(GitError::RefMoved { refname: refname.to_owned(), expected, found })
                }
            },
        }
    }

    /// As git itself words it, so that whoever reads the reflog knows a commit.
    fn reason(&self, fetched: &Fetched) -> Result<String> {
        let info = self.repo.commit(&fetched.new)?;
        let subject: String = info.summary.chars().filter(|c| !c.is_control()).take(SUBJECT).collect();
        Ok(match &fetched.old {
            None => format!("commit (initial): {subject}"),
            Some(old) if self.repo.merge_base(old, &fetched.new)?.as_ref() != Some(old) => {
                format!("commit (amend): {subject}")
            }
            Some(_) => format!("commit: {subject}"),
        })
    }

    /// The worktree's own index is brought along, and not replaced: the one inside may hold anything, names of files
    /// outside of the tree too. `false` if another git holds the index.
    fn follow(&self, writer: &RepoWriter, record: &Record, new: &Oid) -> Result<bool> {
        if self.repo.head(&self.at)?.branch() != Some(record.branch.as_str()) {
            return Ok(true);
        }
        let read_tree = |args: &[&str]| {
            let mut command = self.repo.place().change_in(&self.at);
            command.without_hooks().arg("read-tree").args(args.iter().copied());
            writer.run_ok(&command)
        };
        let new = new.as_str();
        let merged = match &record.index {
            Some(old) => read_tree(&["-i", "-m", old.as_str(), new]),
            None => read_tree(&["-i", "--reset", new]),
        };
        // What was staged outside is in the way of what was committed, and stays in the files.
        let done = match merged {
            Err(GitError::Failed { .. }) => read_tree(&["-i", "--reset", new]),
            other => other,
        };
        match done {
            Err(GitError::LockBusy { .. }) => return Ok(false),
            other => other?,
        };
        let mut refresh = self.repo.place().change_in(&self.at);
        refresh.without_hooks().args(["update-index", "-q", "--refresh"]);
        // Exits with 1 where files differ from what is committed.
        refresh.attempt()?;
        self.forget_half_done(record)?;
        Ok(true)
    }

    /// A merge that was finished inside is finished.
    fn forget_half_done(&self, record: &Record) -> Result<()> {
        let common = Inside::open(&self.common_dir())?;
        let Some(admin) = common.folder(&self.admin())? else { return Ok(()) };
        for name in record.carried.iter().filter(|name| !admin.has(Path::new(name.as_str()))) {
            let path = self.at.git_dir.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(GitError::io(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
