//! Settings of single worktrees: `config.worktree` in the admin folder, read where `extensions.worktreeConfig` is on.

use std::io;
use std::path::{Path, PathBuf};

use super::RepoWriter;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;

const EXTENSION: &str = "extensions.worktreeConfig";
/// What belongs to the main worktree alone, and must leave the common file when every worktree has one of its own
/// (git-worktree, "configuration file").
const OF_MAIN: [&str; 2] = ["core.bare", "core.worktree"];

impl RepoWriter {
    /// A value in the worktree's own file.
    pub fn worktree_setting(&self, at: &WorktreeLocation, key: &str) -> Result<Option<String>> {
        let path = own_file(&at.git_dir);
        if !path.exists() { Ok(None) } else { get(&path, key) }
    }

    /// Sets or, with `None`, removes a value in the worktree's own file. A file that is empty then goes.
    pub fn set_worktree_setting(&self, at: &WorktreeLocation, key: &str, value: Option<&str>) -> Result<()> {
        let path = own_file(&at.git_dir);
        set(&path, key, value)?;
        if value.is_none() && is_empty(&path)? {
            std::fs::remove_file(&path).map_err(|error| GitError::io(&path, error))?;
        }
        Ok(())
    }

    /// Has git read the files of single worktrees; `true` if it did not before.
    pub fn enable_worktree_settings(&self) -> Result<bool> {
        let (common, main) = self.files();
        if get(&common, EXTENSION)?.is_some_and(|value| is_true(&value)) {
            return Ok(false);
        }
        for key in OF_MAIN {
            if let Some(value) = get(&common, key)?.filter(|value| key != "core.bare" || is_true(value)) {
                set(&main, key, Some(&value))?;
                set(&common, EXTENSION, Some("true"))?;
                set(&common, key, None)?;
            }
        }
        set(&common, EXTENSION, Some("true"))?;
        Ok(true)
    }

    /// Takes [`RepoWriter::enable_worktree_settings`] back, if no worktree has settings of its own; `true` if so.
    pub fn disable_worktree_settings(&self) -> Result<bool> {
        let (common, main) = self.files();
        for worktree in self.repo().worktrees()? {
            let path = own_file(&worktree.location.git_dir);
            if path != main && path.exists() && !is_empty(&path)? {
                return Ok(false);
            }
        }
        if main.exists() && has_others(&main)? {
            return Ok(false);
        }
        for key in OF_MAIN {
            if main.exists()
                && let Some(value) = get(&main, key)?
            {
                set(&common, key, Some(&value))?;
                set(&main, key, None)?;
            }
        }
        if main.exists() {
            std::fs::remove_file(&main).map_err(|error| GitError::io(&main, error))?;
        }
        set(&common, EXTENSION, None)?;
        Ok(true)
    }

    fn files(&self) -> (PathBuf, PathBuf) {
        let common = self.repo().common_dir();
        (common.join("config"), own_file(common))
    }
}

fn own_file(git_dir: &Path) -> PathBuf {
    git_dir.join("config.worktree")
}

fn open(path: &Path) -> Result<git2::Config> {
    git2::Config::open(path).map_err(|source| GitError::Libgit2 { path: path.to_owned(), source })
}

fn get(path: &Path, key: &str) -> Result<Option<String>> {
    let failed = |source| GitError::Libgit2 { path: path.to_owned(), source };
    let config = open(path)?;
    let mut config = config;
    match config.snapshot().map_err(failed)?.get_str(key) {
        Ok(value) => Ok(Some(value.to_owned())),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(source) => Err(failed(source)),
    }
}

fn set(path: &Path, key: &str, value: Option<&str>) -> Result<()> {
    let failed = |source| GitError::Libgit2 { path: path.to_owned(), source };
    if value.is_none() && !path.exists() {
        return Ok(());
    }
    if !path.exists() {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| GitError::io(path, error))?;
    }
    let mut config = open(path)?;
    match value {
        Some(value) => config.set_str(key, value).map_err(failed),
        None => match config.remove(key) {
            Err(error) if error.code() != git2::ErrorCode::NotFound => Err(failed(error)),
            _ => Ok(()),
        },
    }
}

fn keys(path: &Path) -> Result<Vec<String>> {
    let failed = |source| GitError::Libgit2 { path: path.to_owned(), source };
    let config = open(path)?;
    let mut entries = config.entries(None).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(failed)?;
        found.push(String::from_utf8_lossy(entry.name_bytes()).into_owned());
    }
    Ok(found)
}

fn is_empty(path: &Path) -> Result<bool> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        _ => Ok(keys(path)?.is_empty()),
    }
}

fn has_others(path: &Path) -> Result<bool> {
    Ok(keys(path)?.iter().any(|key| !OF_MAIN.contains(&key.as_str())))
}

fn is_true(value: &str) -> bool {
    ["true", "1", "yes", "on"].iter().any(|word| value.eq_ignore_ascii_case(word))
}
