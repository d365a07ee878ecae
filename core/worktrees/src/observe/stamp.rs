//! Files beside the repository's own that decide what a status says. They change rarely and lie in folders that are
//! busy with other things, so they are compared when somebody asks instead of being watched.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::rows::RepoRow;
use crate::service::Worktrees;

/// Two stamps are the same as long as no such file was touched.
pub(super) fn take(this: &Worktrees, repo: &RepoRow) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in files(this, repo) {
        look(&path, &mut hasher);
    }
    // The user's settings, which the project's are laid over.
    (Arc::as_ptr(&this.inner.config.get()) as usize).hash(&mut hasher);
    hasher.finish()
}

fn files(this: &Worktrees, repo: &RepoRow) -> Vec<PathBuf> {
    let env = &this.inner.settings.env;
    let mut files = Vec::new();
    if let Some(home) = env.get("HOME").map(PathBuf::from) {
        files.push(home.join(".gitconfig"));
        let git = env.get("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from).join("git");
        files.extend(["config", "ignore", "attributes"].map(|name| git.join(name)));
    }
    files.extend(["config", "info/exclude", "info/attributes"].map(|name| repo.common_dir.join(name)));
    files.extend(
        ["toml", "yaml", "yml", "json"].map(|ending| repo.root.join(".podium/config").with_extension(ending)),
    );
    files
}

fn look(path: &Path, hasher: &mut DefaultHasher) {
    let Ok(metadata) = fs::metadata(path) else { return false.hash(hasher) };
    (metadata.len(), metadata.modified().ok()).hash(hasher);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()).hash(hasher);
    }
}
