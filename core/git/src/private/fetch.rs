//! Objects from a private folder into the repository, past three gates: copied by name and kind, packed anew from what the
//! branch reaches, and checked one by one before they lie among the repository's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::hostile::{self, Inside};
use super::record::Record;
use super::{Fetched, ImportLimits, PrivateCommon};
use crate::bundle::quoted;
use crate::bytes::path_bytes;
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::oid::Oid;

/// The largest piece of memory that git may ask for at one time: a tree or commit is read as a whole.
const LARGEST_PIECE: &str = "1g";
/// Blobs above this are never held in memory.
const LARGE_BLOB: &str = "core.bigFileThreshold=64m";
/// References that what comes over is compared with, beside the branch itself.
const MOST_KNOWN: usize = 1_000;
/// Named as git names its own, so that `git gc` takes away what a killed process left.
const INCOMING: &str = "tmp_objdir-incoming-podium-";

impl PrivateCommon {
    /// Brings the commits of the branch into the repository, checked. No reference moves. `rewritten` allows commits to be
    /// replaced that were made since the private folder was.
    ///
    /// # Errors
    /// `OtherBranch`, `RefMoved` when the branch moved outside, `Rewritten`, `BadObjects`, `Tampered`, `TooMuch`.
    pub fn fetch(&self, rewritten: bool, limits: &ImportLimits) -> Result<Option<Fetched>> {
        let record = Record::read(&self.folder)?;
        let outside = self.repo.branch(&record.branch)?;
        let record = record.settled(outside.as_ref());
        let tip = super::tip(&self.repo, &self.at, &self.folder, &record.branch)?;
        let Some(new) = tip else { return Ok(None) };
        if outside.as_ref() == Some(&new) {
            let due = record.is_behind() || record.base != outside;
            return Ok(due.then_some(Fetched { old: outside, new, commits: 0 }));
        }
        if outside != record.base {
            let refname = format!("refs/heads/{}", record.branch);
            // Without a commit before, any name that is none of one stands for "nothing".
            let expected = record.base.unwrap_or(new);
            return Err(GitError::RefMoved { refname, expected, found: outside });
        }
        let incoming = self.bring(&new, &record, limits)?;
        let commits = self.judge(&incoming, &new, &record, rewritten, limits)?;
        self.bring_large(limits)?;
        incoming.keep(&self.objects())?;
        Ok(Some(Fetched { old: record.base, new, commits }))
    }

    fn objects(&self) -> PathBuf {
        self.repo.common_dir().join("objects")
    }

    /// A git that sees the repository, and objects elsewhere before the repository's own.
    fn git(&self, objects: &Path) -> GitCommand {
        let mut command = self.repo.place().read();
        command.config(LARGE_BLOB).config("pack.threads=1");
        command.env("GIT_ALLOC_LIMIT", LARGEST_PIECE).env("GIT_NO_REPLACE_OBJECTS", "1");
        command.env("GIT_OBJECT_DIRECTORY", objects);
        let own = quoted(path_bytes(&self.objects()));
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", crate::bytes::path_from_bytes(&own));
        command
    }

    fn bring(&self, new: &Oid, record: &Record, limits: &ImportLimits) -> Result<Incoming> {
        let scratch = scratch(&self.folder, "incoming-")?;
        let copied = scratch.path().join("objects");
        fs::create_dir_all(copied.join("pack")).map_err(|error| GitError::io(&copied, error))?;
        let common = Inside::open(&self.common_dir())?;
        let format = self.repo.object_format();
        for pack in hostile::copy_objects(&common, &copied, &self.objects(), format, limits)? {
            // An index is believed without being checked, so its own is not taken over.
            let mut index = self.git(&copied);
            index.args(["index-pack", "--threads=1"]).arg(&pack);
            accepted(&index)?;
        }
        let mut pack = self.git(&copied);
        pack.args(["pack-objects", "--revs", "--quiet", "--delta-base-offset"]);
        pack.arg(scratch.path().join("pack")).stdin(self.wanted(new, record)?);
        let name = String::from_utf8_lossy(&accepted(&pack)?).trim_end().to_owned();
        let packed = scratch.path().join(format!("pack-{name}.pack"));

        let incoming = Incoming(scratch_in_store(&self.objects())?);
        let mut index = self.git(incoming.0.path());
        // A promise may stand for what is missing, so links are only looked at further on.
        let partial = self.repo.config("extensions.partialClone")?.is_some();
        let strict = if partial { "--fsck-objects" } else { "--strict" };
        index.args(["index-pack", "--stdin", strict, "--fix-thin", "--threads=1"]);
        index.arg(format!("--max-input-size={}", limits.bytes)).stdin_file(&packed);
        accepted(&index)?;
        Ok(incoming)
    }

    fn wanted(&self, new: &Oid, record: &Record) -> Result<String> {
        let known = self.repo.reader().refs_under("refs/")?.into_iter().map(|(_, id)| id);
        let known = record.base.clone().into_iter().chain(known.take(MOST_KNOWN));
        Ok(known.fold(format!("{new}\n"), |text, id| text + &format!("^{id}\n")))
    }

    /// Looks at what came, by its true names: whole, on top of what was there, and not too much. Gives the number of
    /// commits.
    fn judge(
        &self,
        incoming: &Incoming,
        new: &Oid,
        record: &Record,
        rewritten: bool,
        limits: &ImportLimits,
    ) -> Result<u64> {
        let objects = incoming.0.path();
        let mut whole = self.git(objects);
        whole.args(["rev-list", "--objects", "--quiet", "--exclude-promisor-objects", new.as_str()]);
        whole.args(["--not", "--all"]);
        accepted(&whole)?;
        if let Some(old) = &record.base {
            let kept = if rewritten { record.start.as_ref().unwrap_or(old) } else { old };
            // The start itself must not have been undone outside meanwhile.
            let stands = self.is_ancestor(objects, kept, old)? && self.is_ancestor(objects, kept, new)?;
            if !stands {
                let (branch, old) = (record.branch.clone(), kept.clone());
                return Err(GitError::Rewritten { branch, old, new: new.clone() });
            }
        }
        let mut count = self.git(objects);
        count.args(["rev-list", "--count", new.as_str()]);
        if let Some(old) = &record.base {
            count.arg(format!("^{old}"));
        }
        let commits = count.text()?.parse().map_err(|_| count.unexpected("not a number"))?;
        if commits > limits.commits {
            return Err(GitError::TooMuch { what: "commits", limit: limits.commits });
        }
        Ok(commits)
    }

    fn is_ancestor(&self, objects: &Path, old: &Oid, new: &Oid) -> Result<bool> {
        let mut command = self.git(objects);
        command.args(["merge-base", "--is-ancestor", old.as_str(), new.as_str()]);
        let outcome = command.attempt()?;
        match outcome.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(command.failure(&outcome)),
        }
    }
}

/// Whatever git says against these objects is the fault of who made them.
fn accepted(command: &GitCommand) -> Result<Vec<u8>> {
    match command.output() {
        Err(GitError::Failed { stderr, .. }) => Err(GitError::BadObjects { detail: stderr }),
        other => other,
    }
}

fn scratch(folder: &Path, prefix: &str) -> Result<TempDir> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir_in(folder);
    made.map_err(|error| GitError::io(folder, error))
}

fn scratch_in_store(objects: &Path) -> Result<TempDir> {
    let made = scratch(objects, INCOMING)?;
    fs::create_dir(made.path().join("pack")).map_err(|error| GitError::io(made.path(), error))?;
    Ok(made)
}

/// A checked pack beside the repository's own.
struct Incoming(TempDir);

impl Incoming {
    /// In git's order: a pack counts from the moment that it has an index.
    fn keep(&self, objects: &Path) -> Result<()> {
        let to = objects.join("pack");
        let wrong = |error: io::Error| GitError::io(&to, error);
        let from = self.0.path().join("pack");
        let mut files = Vec::new();
        for entry in fs::read_dir(&from).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            files.push((path.extension().is_some_and(|kind| kind == "idx"), path));
        }
        files.sort();
        fs::create_dir_all(&to).map_err(wrong)?;
        for (_, path) in files {
            let Some(name) = path.file_name() else { continue };
            // Named by their content: one that is there already is the same.
            fs::rename(&path, to.join(name)).map_err(wrong)?;
        }
        fs::File::open(&to).and_then(|folder| folder.sync_all()).map_err(wrong)
    }
}
