//! Commits kept in a file, for undo.

use std::io;
use std::path::Path;

use crate::bytes::path_bytes;
use crate::error::{GitError, Result};
use crate::oid::Oid;
use crate::parse;
use crate::repo::{Repo, is_full_refname};

/// A reference inside a bundle; it need not exist in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundledRef {
    /// Full name, such as `refs/undo/head`.
    pub name: String,
    pub id: Oid,
}

impl Repo {
    /// Writes a bundle of these commits, without what `known` reaches. The repository gets no new reference: a bundle
    /// holds references only, so they are made in a temporary repository that borrows this one's objects.
    ///
    /// # Errors
    /// `PathExists`; `Failed` when nothing is left to write because `known` reaches all of it.
    pub fn create_bundle(&self, path: &Path, refs: &[BundledRef], known: &[Oid]) -> Result<()> {
        if !path.is_absolute() || refs.is_empty() || !refs.iter().all(|r| is_full_refname(&r.name)) {
            return Err(GitError::InvalidArgument(path.display().to_string()));
        }
        if path.symlink_metadata().is_ok() {
            return Err(GitError::PathExists { path: path.to_owned() });
        }
        let folder = path.parent().unwrap_or(path);
        let scratch = tempfile::Builder::new()
            .prefix(".bundle-")
            .tempdir_in(folder)
            .map_err(|error| GitError::io(folder, error))?;
        let borrowing = scratch.path().join("repository");
        self.make_borrowing(&borrowing)?;
        let lines = refs.iter().map(|r| format!("create {} {}\n", r.name, r.id));
        let mut update = self.git().change();
        update.git_dir(&borrowing).without_hooks().args(["update-ref", "--stdin"]);
        update.stdin(lines.collect::<String>()).output()?;

        let file = scratch.path().join("bundle");
        let wanted = refs.iter().map(|r| format!("{}\n", r.name));
        let unwanted = known.iter().map(|id| format!("^{id}\n"));
        let mut create = self.git().change();
        create.git_dir(&borrowing).args(["bundle", "create", "--quiet"]).arg(&file).arg("--stdin");
        create.stdin(wanted.chain(unwanted).collect::<String>()).output()?;
        let durable = || {
            std::fs::File::open(&file)?.sync_all()?;
            std::fs::rename(&file, path)
        };
        durable().map_err(|error| GitError::io(path, error))
    }

    fn make_borrowing(&self, folder: &Path) -> Result<()> {
        let mut init = self.git().change();
        init.args(["init", "--quiet", "--bare", "--template="]);
        init.arg(format!("--object-format={}", self.object_format().as_str()));
        init.arg("--").arg(folder).output()?;
        let objects = self.common_dir().join("objects");
        let mut line = quoted(path_bytes(&objects));
        line.push(b'\n');
        let info = folder.join("objects/info");
        let borrow = || {
            std::fs::create_dir_all(&info)?;
            std::fs::write(info.join("alternates"), &line)?;
            // A shallow repository lacks the parents of some commits; git must know that it may.
            match std::fs::copy(self.common_dir().join("shallow"), folder.join("shallow")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        borrow().map_err(|error| GitError::io(folder, error))
    }

    /// Brings a bundle's objects back. They are unreferenced until the caller makes a branch of one.
    pub fn unbundle(&self, path: &Path) -> Result<Vec<BundledRef>> {
        let mut command = self.place().change();
        command.args(["bundle", "unbundle"]).arg(path);
        let refs = parse::refs(&command.output()?).map_err(|error| command.unexpected(error.0))?;
        Ok(refs.into_iter().map(|(name, id)| BundledRef { name, id }).collect())
    }
}

/// C-style quoting as `objects/info/alternates` understands it, for paths with newlines, quotes or a leading `#`.
pub(crate) fn quoted(path: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}
