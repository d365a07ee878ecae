//! From paths in the git folder to what may have moved.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path};

use podium_watch::Change;

/// What is left out of the watch on the git folder: what is no reference, or tells of worktrees one by one and is
/// watched there.
pub(super) const LEFT_OUT: &[&str] = &[
    "/objects",
    "/logs/refs",
    "/podium",
    "/modules",
    "/lfs",
    "/annex",
    "/hooks",
    "/branches",
    "/index",
    "/ORIG_HEAD",
    "/COMMIT_EDITMSG",
    "/rebase-merge",
    "/rebase-apply",
    "/worktrees/*/*",
    "!/worktrees/*/HEAD",
    "!/worktrees/*/gitdir",
    "!/worktrees/*/locked",
    "!/worktrees/*/logs",
    "!/worktrees/*/reftable",
    "*.lock",
];

/// What has to be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hints {
    /// Everything, for want of knowing better.
    pub(super) all: bool,
    /// Worktrees came, went, or are on another branch.
    pub(super) set: bool,
    /// Some reference: trunk may be among them.
    pub(super) refs: bool,
    pub(super) main: bool,
    /// Names of admin folders.
    pub(super) linked: HashSet<OsString>,
    pub(super) branches: HashSet<String>,
}

impl Hints {
    pub(super) fn everything() -> Self {
        Self { all: true, set: true, refs: true, ..Self::default() }
    }

    pub(super) fn of(change: &Change, common_dir: &Path) -> Self {
        let Change::Paths(paths) = change else { return Self::everything() };
        let mut hints = Self::default();
        for path in paths {
            match path.strip_prefix(common_dir) {
                Ok(relative) => hints.add(relative),
                Err(_) => return Self::everything(),
            }
        }
        hints
    }

    fn add(&mut self, path: &Path) {
        let parts: Vec<_> = path.components().map(Component::as_os_str).collect();
        let part = |at: usize| parts.get(at).and_then(|part| part.to_str()).unwrap_or_default();
        match part(0) {
            "HEAD" => (self.main, self.refs, self.set) = (true, true, true),
            "logs" => self.main = true,
            "packed-refs" | "reftable" => (self.all, self.refs) = (true, true),
            // A folder that came or went stands for all below.
            "refs" if parts.len() < 3 => (self.all, self.refs) = (true, true),
            "refs" => {
                self.refs = true;
                if part(1) == "heads" {
                    self.branches.insert(parts[2..].join("/".as_ref()).to_string_lossy().into_owned());
                }
            }
            "worktrees" => match (parts.get(1), part(2)) {
                (Some(id), "HEAD") => {
                    self.set = true;
                    self.linked.insert((*id).to_owned());
                }
                (Some(id), "logs" | "reftable") => {
                    self.linked.insert((*id).to_owned());
                }
                _ => self.set = true,
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> Hints {
        let paths = paths.iter().map(|path| Path::new("/r/.git").join(path)).collect();
        Hints::of(&Change::Paths(paths), Path::new("/r/.git"))
    }

    #[test]
    fn paths_tell_what_may_have_moved() {
        assert_eq!(
            of(&["refs/heads/feat/x", "logs/HEAD"]),
            Hints { refs: true, main: true, branches: ["feat/x".to_owned()].into(), ..Hints::default() }
        );
        let linked = of(&["worktrees/a/logs/HEAD"]);
        assert_eq!(linked, Hints { linked: ["a".into()].into(), ..Hints::default() });
        assert!(of(&["worktrees/a"]).set);
        assert!(of(&["packed-refs"]).all);
        assert!(of(&["refs/remotes/origin/main"]).refs);
        assert_eq!(Hints::of(&Change::Rescan, Path::new("/r")), Hints::everything());
        assert_eq!(of(&["description"]), Hints::default());
    }
}
