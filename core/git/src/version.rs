//! The git that was found, and the oldest that will do.

use std::fmt;

/// A git version; anything after the third number is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitVersion {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl GitVersion {
    /// `worktree list -z` came with 2.36, `merge-tree --write-tree` with 2.38.
    pub const MINIMUM: Self = Self { major: 2, minor: 38, patch: 0 };
    /// Reftable repositories, and with them `rev-parse --show-ref-format`.
    pub(crate) const REF_FORMATS: Self = Self { major: 2, minor: 45, patch: 0 };

    /// Reads the answer of `git --version`, vendor suffixes included.
    pub fn parse(output: &str) -> Option<Self> {
        let rest = output.trim().strip_prefix("git version ")?;
        let number = rest.split_whitespace().next()?;
        let mut parts = number.split(['.', '-']).map(str::parse::<u32>);
        let major = parts.next()?.ok()?;
        let minor = parts.next()?.ok()?;
        let patch = parts.next().and_then(|part| part.ok()).unwrap_or(0);
        Some(Self { major, minor, patch })
    }
}

impl fmt::Display for GitVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_suffixes_are_dropped() {
        let v = |major, minor, patch| Some(GitVersion { major, minor, patch });
        assert_eq!(GitVersion::parse("git version 2.47.3\n"), v(2, 47, 3));
        assert_eq!(GitVersion::parse("git version 2.39.5 (Apple Git-154)"), v(2, 39, 5));
        assert_eq!(GitVersion::parse("git version 2.45.1.windows.1"), v(2, 45, 1));
        assert_eq!(GitVersion::parse("git version 2.48.0-rc1"), v(2, 48, 0));
        assert_eq!(GitVersion::parse("git version 3.0"), v(3, 0, 0));
        assert_eq!(GitVersion::parse("hub version 2"), None);
        assert_eq!(GitVersion::parse(""), None);
    }
}
