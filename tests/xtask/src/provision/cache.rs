//! The tool cache: one folder per tool and version, outside any checkout.
//!
//! An entry that exists is complete: it is built under another name and renamed when whole, under a lock that dies
//! with its process. A killed install leaves a partial folder, which the next one removes.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// `PODIUM_TOOLS`, else `podium/tools` in the platform's cache folder.
    pub(super) fn from_environment() -> Result<Self> {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let chosen = folder("PODIUM_TOOLS")
            .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("podium/tools")))
            .or_else(|| folder("HOME").map(|home| home.join(home_cache()).join("podium/tools")));
        match chosen {
            Some(folder) => Ok(Self { folder: std::path::absolute(folder)? }),
            None => bail!("no folder for tools: set PODIUM_TOOLS or HOME"),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a tool is once installed.
    pub(super) fn entry(&self, key: &str) -> PathBuf {
        self.folder.join(key)
    }

    /// The entry, built by `build` in a folder of another name first if it is not there.
    pub(super) fn ensure(&self, key: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let entry = self.entry(key);
        if entry.is_dir() {
            return Ok(entry);
        }
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let lock = File::create(self.folder.join(format!(".{key}.lock")))?;
        lock.lock().with_context(|| format!("cannot lock the installation of {key}"))?;
        if entry.is_dir() {
            return Ok(entry);
        }
        self.remove_partial(key)?;
        let partial = self.folder.join(format!("{}{}-{}", partial_prefix(key), std::process::id(), now()));
        fs::create_dir(&partial)?;
        build(&partial)?;
        fs::rename(&partial, &entry).with_context(|| format!("cannot move {key} into place"))?;
        self.remove_partial(key)?;
        Ok(entry)
    }

    /// What attempts that did not end left behind. An installer may outlive an xtask that was killed, and go on
    /// writing there: that is why each attempt has a folder of its own, and why what cannot be removed stays.
    fn remove_partial(&self, key: &str) -> Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&partial_prefix(key)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }
}

fn home_cache() -> &'static str {
    if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" }
}

fn partial_prefix(key: &str) -> String {
    format!(".{key}.partial-")
}

/// Nanoseconds, to tell one attempt from the next.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn cache(folder: &tempfile::TempDir) -> Cache {
        Cache { folder: folder.path().join("tools") }
    }

    #[test]
    fn a_failed_install_is_not_installed_and_the_next_one_starts_clean() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder);
        let failed = cache.ensure("tool-1", |partial| {
            fs::write(partial.join("half"), "")?;
            bail!("interrupted")
        });
        assert!(failed.is_err());
        assert!(!cache.entry("tool-1").exists());
        let left =
            || fs::read_dir(cache.folder()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(left().count(), 1, "what it left behind");
        let entry = cache.ensure("tool-1", |partial| Ok(fs::write(partial.join("whole"), "")?)).unwrap();
        assert!(entry.join("whole").exists());
        assert!(!entry.join("half").exists());
        assert_eq!(left().count(), 1, "only the entry");
    }

    #[test]
    fn what_is_installed_is_not_built_again_and_versions_live_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder);
        cache.ensure("tool-1", |_| Ok(())).unwrap();
        cache.ensure("tool-1", |_| bail!("built twice")).unwrap();
        cache.ensure("tool-2", |_| Ok(())).unwrap();
        assert!(cache.entry("tool-1").is_dir() && cache.entry("tool-2").is_dir());
    }

    #[test]
    fn of_many_at_once_one_builds() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder);
        let built = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    cache.ensure("tool-1", |_| {
                        built.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                });
            }
        });
        assert_eq!(built.load(Ordering::SeqCst), 1);
    }
}
