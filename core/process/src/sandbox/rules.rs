//! The policy as one list of paths, ready to be looked up or applied in order.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{SandboxError, SandboxPolicy};

/// Folders every program needs; those that do not exist are skipped.
pub const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/opt",
    "/nix/store",
    "/run/current-system",
];

/// In the order in which they win on the same path: later ones do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    System,
    /// Empty, private, writable.
    Private,
    ReadOnly,
    ReadWrite,
    Bind {
        from: PathBuf,
        read_only: bool,
    },
    Hidden {
        folder: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) path: PathBuf,
    pub(super) access: Access,
}

/// All rules with canonical paths, parents before children, and of equal paths the winner last.
pub(super) fn resolve(policy: &SandboxPolicy) -> Result<Vec<Rule>, SandboxError> {
    let mut rules = Vec::new();
    for path in SYSTEM {
        if Path::new(path).exists() {
            rules.push(Rule { path: path.into(), access: Access::System });
        }
    }
    rules.push(Rule { path: "/tmp".into(), access: Access::Private });
    if let Some(home) = home(policy) {
        rules.push(Rule { path: home, access: Access::Private });
    }
    for path in &policy.read_only {
        rules.push(Rule { path: canonical(path)?, access: Access::ReadOnly });
    }
    for path in policy.read_write.iter().chain(&policy.sockets) {
        rules.push(Rule { path: canonical(path)?, access: Access::ReadWrite });
    }
    for bind in &policy.binds {
        let access = Access::Bind { from: canonical(&bind.from)?, read_only: bind.read_only };
        rules.push(Rule { path: absolute(&bind.to)?.to_owned(), access });
    }
    for path in &policy.hidden {
        match absolute(path)?.canonicalize() {
            Ok(path) => {
                let folder = path.is_dir();
                rules.push(Rule { path, access: Access::Hidden { folder } });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(SandboxError::Path { path: path.clone(), source }),
        }
    }
    rules.sort_by(|a, b| {
        (a.path.components().count(), &a.path, &a.access).cmp(&(
            b.path.components().count(),
            &b.path,
            &b.access,
        ))
    });
    Ok(rules)
}

/// Canonical; `/` is no home of anybody.
pub(super) fn home(policy: &SandboxPolicy) -> Option<PathBuf> {
    let home = policy.home.clone().or_else(std::env::home_dir)?;
    let home = home.canonicalize().ok()?;
    (home.parent().is_some()).then_some(home)
}

/// The rule that decides about `path`, of which the last and longest wins.
pub(super) fn deciding<'a>(rules: &'a [Rule], path: &Path) -> Option<&'a Rule> {
    rules.iter().rev().find(|rule| path.starts_with(&rule.path))
}

fn canonical(path: &Path) -> Result<PathBuf, SandboxError> {
    absolute(path)?.canonicalize().map_err(|source| SandboxError::Path { path: path.to_owned(), source })
}

fn absolute(path: &Path) -> Result<&Path, SandboxError> {
    if path.is_absolute() {
        return Ok(path);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path");
    Err(SandboxError::Path { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::{Access, deciding, resolve};
    use crate::sandbox::SandboxPolicy;

    #[test]
    fn the_most_specific_path_wins_and_hidden_wins_a_tie() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        let policy = SandboxPolicy {
            read_write: vec![root.clone(), root.join("a/b/c")],
            read_only: vec![root.join("a")],
            hidden: vec![root.join("a/b"), root.join("a/b/missing")],
            ..SandboxPolicy::default()
        };
        let rules = resolve(&policy).unwrap();
        let access = |path: &str| deciding(&rules, &root.join(path)).unwrap().access.clone();
        assert_eq!(access("x"), Access::ReadWrite);
        assert_eq!(access("a/x"), Access::ReadOnly);
        assert_eq!(access("a/b/x"), Access::Hidden { folder: true });
        assert_eq!(access("a/b/c/x"), Access::ReadWrite);

        let tie = SandboxPolicy {
            read_write: vec![root.join("a")],
            hidden: vec![root.join("a")],
            ..SandboxPolicy::default()
        };
        let rules = resolve(&tie).unwrap();
        assert_eq!(deciding(&rules, &root.join("a/x")).unwrap().access, Access::Hidden { folder: true });
    }

    #[test]
    fn relative_and_missing_paths_are_refused() {
        for path in ["relative", "/does/not/exist"] {
            let policy = SandboxPolicy { read_write: vec![path.into()], ..SandboxPolicy::default() };
            assert!(resolve(&policy).is_err(), "{path}");
        }
    }
}
