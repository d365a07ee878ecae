//! Making a private folder, whole or not at all, and making it ready again for a next run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::hostile::Inside;
use super::record::Record;
use super::{COMMON, PrivateCommon, PrivateOptions, Share, admin_of, large, settings, tip};
use crate::bundle::quoted;
use crate::bytes::{path_bytes, path_from_bytes};
use crate::error::{GitError, Result};
use crate::model::{Head, WorktreeLocation};
use crate::repo::Repo;

const NEW: &str = "git.new";
/// Object folders that borrow from each other, at most.
const MOST_ALTERNATES: usize = 32;
/// Files of a merge, a cherry-pick or a revert that waits for its commit.
const HALF_DONE: &[&str] =
    &["MERGE_HEAD", "MERGE_MODE", "MERGE_MSG", "CHERRY_PICK_HEAD", "REVERT_HEAD", "SQUASH_MSG"];
/// Files that decide what git makes of the tree.
const INFO: &[&str] = &["exclude", "attributes"];

impl PrivateCommon {
    /// The private folder of a worktree in `folder`, which belongs to the session alone: the one that is there, else a new
    /// one. One in which nothing was committed is made anew when the branch moved outside; one with commits that are not
    /// imported stays, and so does one that is occupied, whatever happened outside.
    ///
    /// # Errors
    /// `DetachedHead`; `Io`.
    pub fn open(repo: &Repo, at: &WorktreeLocation, folder: &Path, options: &PrivateOptions) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| GitError::io(folder, error))?;
        if options.occupied
            && let Some(mut found) = Self::find(repo, at, folder)?
        {
            let settings = settings::of(repo, at, options)?;
            found.shares = shares(repo, options, settings.hooks.as_deref())?;
            return Ok(found);
        }
        let head = repo.head(at)?;
        let branch = head.branch().ok_or_else(|| GitError::DetachedHead { path: at.path.clone() })?;
        let settings = settings::of(repo, at, options)?;
        let shares = shares(repo, options, settings.hooks.as_deref())?;
        let made = Self { repo: repo.clone(), at: at.clone(), folder: folder.to_owned(), shares };
        let record = Record::find(folder)?.filter(|_| made.common_dir().is_dir());
        let start = match record {
            Some(record) if record.branch == branch => {
                let touched = record.is_behind() || made.is_touched(&record);
                if touched || record.base.as_ref() == head.id() {
                    made.refresh(&settings.text)?;
                    return Ok(made);
                }
                made.set_aside(false)?;
                record.start
            }
            Some(record) => {
                made.set_aside(made.is_touched(&record))?;
                None
            }
            None => None,
        };
        let carried = made.build(&head, &settings.text)?;
        let base = head.id().cloned();
        let record = Record {
            branch: branch.to_owned(),
            start: start.or(base.clone()),
            index: base.clone(),
            base,
            landing: None,
            carried,
        };
        record.write(folder)?;
        fs::rename(folder.join(NEW), made.common_dir()).map_err(|error| GitError::io(folder, error))?;
        Ok(made)
    }

    /// Doubt counts as touched: it keeps what is there.
    fn is_touched(&self, record: &Record) -> bool {
        tip(&self.repo, &self.at, &self.folder, &record.branch).map_or(true, |found| found != record.base)
    }

    fn set_aside(&self, keep: bool) -> Result<()> {
        let wrong = |error| GitError::io(&self.folder, error);
        let prefix = if keep { "kept-" } else { ".old-" };
        let aside = tempfile::Builder::new().prefix(prefix).tempdir_in(&self.folder).map_err(wrong)?;
        fs::rename(self.common_dir(), aside.path().join(COMMON)).map_err(wrong)?;
        if keep {
            let _stays = aside.keep();
        }
        Ok(())
    }

    /// What an earlier run could have altered, or was made for another sandbox.
    fn refresh(&self, settings: &str) -> Result<()> {
        let common = Inside::open(&self.common_dir())?;
        common.write(Path::new("config"), settings.as_bytes())?;
        common.write(Path::new("objects/info/alternates"), &self.alternates())
    }

    fn alternates(&self) -> Vec<u8> {
        let objects = self.shares.iter().filter(|share| share.real.ends_with("objects"));
        objects.flat_map(|share| [quoted(path_bytes(&share.seen)), b"\n".to_vec()].concat()).collect()
    }

    /// Gives the files of a half-done merge that came along.
    fn build(&self, head: &Head, settings: &str) -> Result<Vec<String>> {
        let root = self.folder.join(NEW);
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(GitError::io(&root, error)),
            _ => {}
        }
        let admin = root.join(admin_of(&self.repo, &self.at));
        let from = self.repo.common_dir();
        let refs = packed_refs(&self.repo)?;
        let linked = admin != root;
        let main_head = if linked { self.repo.reader().head(from).ok() } else { None };
        let write = || {
            for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
                fs::create_dir_all(root.join(folder))?;
            }
            fs::create_dir_all(&admin)?;
            fs::write(root.join("config"), settings)?;
            fs::write(root.join("packed-refs"), &refs)?;
            fs::write(root.join("objects/info/alternates"), self.alternates())?;
            if linked {
                fs::write(root.join("HEAD"), head_text(main_head.as_ref()))?;
                fs::write(admin.join("commondir"), "../..\n")?;
                let dot_git = self.at.path.join(".git");
                fs::write(admin.join("gitdir"), [path_bytes(&dot_git), b"\n"].concat())?;
            }
            fs::write(admin.join("HEAD"), head_text(Some(head)))?;
            copy(&from.join("shallow"), &root.join("shallow"))?;
            for name in INFO {
                copy(&from.join("info").join(name), &root.join("info").join(name))?;
            }
            copy(&self.at.git_dir.join("info/sparse-checkout"), &admin.join("info/sparse-checkout"))?;
            self.copy_index(&admin)?;
            let mut carried = Vec::new();
            for name in HALF_DONE {
                if copy(&self.at.git_dir.join(name), &admin.join(name))? {
                    carried.push((*name).to_owned());
                }
            }
            Ok(carried)
        };
        write().map_err(|error| GitError::io(&root, error))
    }

    /// With the shared part that a split index names.
    fn copy_index(&self, admin: &Path) -> io::Result<()> {
        for entry in fs::read_dir(&self.at.git_dir)? {
            let name = entry?.file_name();
            let is_part = name == "index" || name.to_string_lossy().starts_with("sharedindex.");
            if is_part {
                copy(&self.at.git_dir.join(&name), &admin.join(&name))?;
            }
        }
        Ok(())
    }
}

/// Regular files only; `false` if there is none.
fn copy(from: &Path, to: &Path) -> io::Result<bool> {
    if !from.symlink_metadata().is_ok_and(|data| data.is_file()) {
        return Ok(false);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(|_| true)
}

fn head_text(head: Option<&Head>) -> String {
    match head {
        Some(Head::Branch { name, .. } | Head::Unborn { name }) => format!("ref: refs/heads/{name}\n"),
        Some(Head::Detached { id }) => format!("{id}\n"),
        // A name that no branch has.
        None => "ref: refs/heads/.main\n".to_owned(),
    }
}

/// All branches, remote branches and tags, as `git pack-refs` writes them.
fn packed_refs(repo: &Repo) -> Result<Vec<u8>> {
    let mut command = repo.place().read();
    let format = "%(if)%(symref)%(then)%(else)%(objectname) %(refname) %(*objectname)%(end)";
    command.args(["for-each-ref", "--sort=refname"]).arg(format!("--format={format}"));
    command.args(["--", "refs/heads", "refs/remotes", "refs/tags"]);
    let output = command.output()?;
    let mut text = b"# pack-refs with: peeled fully-peeled sorted \n".to_vec();
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(command.unexpected("not a reference"));
        };
        text.extend([id, b" ", name, b"\n"].concat());
        if let Some(peeled) = words.next().filter(|peeled| !peeled.is_empty()) {
            text.extend([b"^", peeled, b"\n"].concat());
        }
    }
    Ok(text)
}

/// Every object folder that the repository reads from, and the hooks.
fn shares(repo: &Repo, options: &PrivateOptions, hooks: Option<&Path>) -> Result<Vec<Share>> {
    let mut objects: Vec<PathBuf> = vec![repo.common_dir().join("objects")];
    let mut next = 0;
    while let Some(folder) = objects.get(next).cloned() {
        next += 1;
        for more in alternates_of(&folder)? {
            if !objects.contains(&more) && objects.len() < MOST_ALTERNATES {
                objects.push(more);
            }
        }
    }
    let shown = |real: PathBuf, name: String| {
        let seen = options.shown_below.as_ref().map_or_else(|| real.clone(), |below| below.join(name));
        Share { real, seen }
    };
    let numbered = objects.into_iter().enumerate();
    let mut shares: Vec<Share> =
        numbered.map(|(number, real)| shown(real, format!("{number}/objects"))).collect();
    // Where git-lfs looks for what the borrowed objects name.
    let lfs = repo.common_dir().join(large::FOLDER);
    if lfs.is_dir() {
        shares.push(shown(lfs, format!("0/{}", large::FOLDER)));
    }
    shares.extend(hooks.map(|hooks| shown(hooks.to_owned(), "hooks".to_owned())));
    Ok(shares)
}

fn alternates_of(objects: &Path) -> Result<Vec<PathBuf>> {
    let path = objects.join("info/alternates");
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(GitError::io(&path, error)),
    };
    let lines = content.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    // Quoted ones are rare, and git says itself what is missing.
    Ok(lines.filter_map(|line| objects.join(path_from_bytes(line)).canonicalize().ok()).collect())
}
