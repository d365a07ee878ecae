//! Which paths of a tree nobody wants to hear of.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{IncrementalIgnore, WalkBuilder};

use crate::error::WatchError;
use crate::tree::TreeKey;

/// The caller's own patterns, compiled.
pub(crate) fn compile(root: &Path, patterns: &[String]) -> Result<Gitignore, WatchError> {
    let failed = |pattern: &str, source| WatchError::Pattern { pattern: pattern.to_owned(), source };
    let mut builder = GitignoreBuilder::new(root);
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|source| failed(pattern, source))?;
    }
    builder.build().map_err(|source| failed(&patterns.join(", "), source))
}

pub(crate) struct Filter {
    skip_git: bool,
    patterns: Gitignore,
    respect_gitignore: bool,
    /// Compiled on first use, and folder by folder.
    gitignore: Option<IncrementalIgnore>,
}

impl Filter {
    pub(crate) fn new(key: &TreeKey) -> Self {
        Self {
            skip_git: key.skip_git,
            // Refused before the tree was asked for, if they do not compile.
            patterns: compile(&key.root, &key.ignored).unwrap_or_else(|_| Gitignore::empty()),
            respect_gitignore: key.respect_gitignore,
            gitignore: None,
        }
    }

    /// Forgets the ignore files that were read: they changed, or a walk filled the memory with every folder's.
    pub(crate) fn forget(&mut self) {
        self.gitignore = None;
    }

    /// Whether an edit of `path` changes what is ignored.
    pub(crate) fn is_source(&self, path: &Path) -> bool {
        self.respect_gitignore && path.file_name().is_some_and(|name| name == ".gitignore")
    }

    /// `relative` to `root`; it or a folder above it is left out.
    pub(crate) fn ignores(&mut self, root: &Path, relative: &Path, is_dir: bool) -> bool {
        if relative.as_os_str().is_empty() {
            return false;
        }
        if self.skip_git && relative.components().any(|part| part.as_os_str() == ".git") {
            return true;
        }
        if !self.patterns.is_empty()
            && self.patterns.matched_path_or_any_parents(relative, is_dir).is_ignore()
        {
            return true;
        }
        if !self.respect_gitignore {
            return false;
        }
        self.gitignore.get_or_insert_with(|| load(root)).matched(relative, is_dir).is_ignore()
    }
}

fn load(root: &Path) -> IncrementalIgnore {
    // The ignore files above a repository are not its own: a worktree often lies in a folder another one ignores.
    let is_repository = root.join(".git").symlink_metadata().is_ok();
    let mut builder = WalkBuilder::new(root);
    builder.hidden(false).ignore(false).require_git(false).parents(!is_repository);
    builder.build_matchers().swap_remove(0)
}
