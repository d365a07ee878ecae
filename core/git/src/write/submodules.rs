//! Submodules and large files, on demand.

use std::path::PathBuf;
use std::time::Duration;

use super::RepoWriter;
use crate::bytes::path_from_bytes;
use crate::error::Result;
use crate::model::WorktreeLocation;
use crate::repo::Repo;

impl RepoWriter {
    /// Checks out all submodules, those of submodules too; gives their paths. None without `.gitmodules`.
    ///
    /// # Errors
    /// `Timeout`, `Failed`.
    pub fn update_submodules(&self, at: &WorktreeLocation, timeout: Duration) -> Result<Vec<PathBuf>> {
        if !at.path.join(".gitmodules").exists() {
            return Ok(Vec::new());
        }
        // By folder: submodules have git folders of their own, and `GIT_DIR` would lead them astray.
        let mut update = self.repo.git().change();
        update.folder(&at.path).timeout(timeout).env("GIT_LFS_SKIP_SMUDGE", "1");
        update.args(["submodule", "--quiet", "update", "--init", "--recursive"]);
        self.run_ok(&update)?;
        let mut list = self.repo.git().read();
        list.folder(&at.path);
        list.args(["submodule", "--quiet", "foreach", "--recursive", r#"printf '%s\0' "$displaypath""#]);
        let listed = list.output()?;
        Ok(listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(path_from_bytes).collect())
    }
}

impl Repo {
    /// Fetches the large files of a worktree; `false` where it has none, or the extension is not installed.
    ///
    /// # Errors
    /// `Timeout`, `Failed`.
    pub fn fetch_large_files(&self, at: &WorktreeLocation, timeout: Duration) -> Result<bool> {
        let attributes = std::fs::read_to_string(at.path.join(".gitattributes")).unwrap_or_default();
        if !attributes.contains("filter=lfs") || self.config("filter.lfs.process")?.is_none() {
            return Ok(false);
        }
        let mut pull = self.git().change();
        pull.folder(&at.path).timeout(timeout).args(["lfs", "pull"]);
        pull.output().map(|_| true)
    }
}
