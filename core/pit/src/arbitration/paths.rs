//! Where nodes write, and which two of these places overlap.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A place within some root, made canonical: absolute, without `.` and `..`, links followed as far as it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WritePath(PathBuf);

/// Why a path cannot be written by a node.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("`{}` is outside of `{}`", path.display(), root.display())]
    Outside { path: PathBuf, root: PathBuf },
    #[error("`{}` is a link to nothing", path.display())]
    Dangling { path: PathBuf },
    #[error("`{}` cannot be looked at", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl WritePath {
    /// `path`, relative to `root` or below it. Looks at the disk.
    ///
    /// # Errors
    /// When it is outside of the root, also by a link on the way, or leads through a link to nothing.
    pub fn resolve(root: &Path, path: &Path) -> Result<Self, PathError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| PathError::Io { path, source }
        };
        let outside = || PathError::Outside { path: path.to_owned(), root: root.to_owned() };
        let real_root = root.canonicalize().map_err(io(root))?;
        let below = path.strip_prefix(root).or_else(|_| path.strip_prefix(&real_root)).unwrap_or(path);
        let mut real = real_root.clone();
        // What does not exist yet has no links to follow.
        let mut exists = true;
        for component in below.components() {
            match component {
                Component::CurDir => continue,
                Component::Normal(name) => real.push(name),
                // Before links are followed this may lead anywhere, and nobody has to write it.
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
            if !exists {
                continue;
            }
            match real.symlink_metadata() {
                Ok(found) if found.is_symlink() => {
                    real = real.canonicalize().map_err(|error| match error.kind() {
                        io::ErrorKind::NotFound => PathError::Dangling { path: real.clone() },
                        _ => PathError::Io { path: real.clone(), source: error },
                    })?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => exists = false,
                Err(error) => return Err(io(&real)(error)),
            }
            if !real.starts_with(&real_root) {
                return Err(outside());
            }
        }
        Ok(Self(real))
    }

    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether one of the two contains the other.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

/// The places that are held, none of which contains another of a different holder.
#[derive(Debug, Default)]
pub(super) struct HeldPaths(BTreeMap<WritePath, u64>);

impl HeldPaths {
    /// A held place that overlaps with one of these, and who holds it.
    pub(super) fn conflict(&self, wanted: &[WritePath]) -> Option<(&WritePath, u64)> {
        wanted.iter().find_map(|wanted| self.overlapping(wanted))
    }

    fn overlapping(&self, wanted: &WritePath) -> Option<(&WritePath, u64)> {
        // Paths are ordered by component, so what lies below a folder follows it directly.
        let below = self.0.range(wanted..).next().filter(|(held, _)| held.overlaps(wanted));
        let above = || {
            wanted.0.ancestors().skip(1).find_map(|path| self.0.get_key_value(&WritePath(path.to_owned())))
        };
        below.or_else(above).map(|(held, holder)| (held, *holder))
    }

    pub(super) fn take(&mut self, paths: &[WritePath], holder: u64) {
        self.0.extend(paths.iter().map(|path| (path.clone(), holder)));
    }

    pub(super) fn give_back(&mut self, paths: &[WritePath]) {
        for path in paths {
            self.0.remove(path);
        }
    }
}

/// Without those that lie within another of them.
pub(super) fn folded(mut paths: Vec<WritePath>) -> Vec<WritePath> {
    paths.sort();
    paths.dedup_by(|path, kept| path.0.starts_with(&kept.0));
    paths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> WritePath {
        WritePath(PathBuf::from(text))
    }

    #[test]
    fn a_place_conflicts_with_what_contains_it_and_what_it_contains_by_component() {
        let mut held = HeldPaths::default();
        held.take(&[path("/a/b"), path("/a/bc/d")], 7);
        let conflicts = |text: &str| held.conflict(&[path(text)]).is_some();
        assert!(
            conflicts("/a/b")
                && conflicts("/a")
                && conflicts("/a/b/c/d")
                && conflicts("/a/bc")
                && conflicts("/")
        );
        assert!(!conflicts("/a/bd") && !conflicts("/a/bc/e") && !conflicts("/a/b c") && !conflicts("/b"));
    }

    proptest! {
        #[test]
        fn a_conflict_is_found_exactly_if_two_places_overlap(
            taken in prop::collection::vec("(/[ab-]{1,2}){1,3}", 0..6),
            wanted in prop::collection::vec("(/[ab-]{1,2}){1,3}", 1..4),
        ) {
            let (taken, wanted): (Vec<_>, Vec<_>) =
                (taken.iter().map(|p| path(p)).collect(), wanted.iter().map(|p| path(p)).collect());
            let mut held = HeldPaths::default();
            held.take(&folded(taken.clone()), 1);
            let overlap = taken.iter().any(|a| wanted.iter().any(|b| a.overlaps(b)));
            prop_assert_eq!(held.conflict(&wanted).is_some(), overlap);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_followed_through_links_and_kept_within_its_root() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");
        std::fs::create_dir_all(root.join("src/deep")).unwrap();
        symlink("src", root.join("alias")).unwrap();
        symlink("..", root.join("out")).unwrap();
        symlink("nothing", root.join("dangling")).unwrap();
        let resolve = |text: &str| WritePath::resolve(&root, Path::new(text));
        assert_eq!(resolve("alias/deep/new/file").unwrap(), resolve("./src/deep/new/file").unwrap());
        assert_eq!(resolve("alias").unwrap(), resolve("src").unwrap());
        assert_eq!(WritePath::resolve(&root, &root.join("src")).unwrap(), resolve("src").unwrap());
        for wrong in ["../other", "src/../../other", "/etc/passwd", "out", "out/tree/src/../.."] {
            assert!(matches!(resolve(wrong), Err(PathError::Outside { .. })), "{wrong}");
        }
        assert!(matches!(resolve("dangling"), Err(PathError::Dangling { .. })));
    }
}
