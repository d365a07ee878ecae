//! What Podium knows about a private folder, beside it and out of reach of whoever works in it.

use std::io::Write as _;
use std::path::Path;

use crate::error::{GitError, Result};
use crate::oid::Oid;

const FILE: &str = "record";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Record {
    /// The one branch that may come over.
    pub(super) branch: String,
    /// Where the branch was when the first private folder was made: what came before is never rewritten.
    pub(super) start: Option<Oid>,
    /// Where the branch is outside, as far as this folder knows.
    pub(super) base: Option<Oid>,
    /// The commit that the worktree's index goes with.
    pub(super) index: Option<Oid>,
    /// The branch is about to go from `base` to here, or went.
    pub(super) landing: Option<Oid>,
    /// Files of a half-done merge that came along.
    pub(super) carried: Vec<String>,
}

impl Record {
    pub(super) fn find(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(Self::parse(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(GitError::io(&path, error)),
        }
    }

    pub(super) fn read(folder: &Path) -> Result<Self> {
        Self::find(folder)?.ok_or_else(|| GitError::NoSuchPath { path: folder.join(FILE) })
    }

    /// With what a killed process had begun: a branch that went where it was about to go is there.
    pub(super) fn settled(mut self, outside: Option<&Oid>) -> Self {
        if self.landing.is_some() && self.landing.as_ref() == outside {
            self.base.clone_from(&self.landing);
        }
        self.landing = None;
        self
    }

    /// Whether the worktree's index has yet to follow its branch.
    pub(super) fn is_behind(&self) -> bool {
        self.landing.is_some() || self.index != self.base
    }

    /// Whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut text = format!("branch {}\n", self.branch);
        let ids = [
            ("start", &self.start),
            ("base", &self.base),
            ("index", &self.index),
            ("landing", &self.landing),
        ];
        for (key, id) in ids.into_iter().filter_map(|(key, id)| Some((key, id.as_ref()?))) {
            text += &format!("{key} {id}\n");
        }
        for name in &self.carried {
            text += &format!("carried {name}\n");
        }
        let put = || {
            let mut file = tempfile::Builder::new().prefix(".record-").tempfile_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(folder.join(FILE)).map(drop).map_err(|error| error.error)
        };
        put().map_err(|error| GitError::io(folder, error))
    }

    fn parse(text: &str) -> Self {
        let mut record = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match key {
                "branch" => value.clone_into(&mut record.branch),
                "start" => record.start = value.parse().ok(),
                "base" => record.base = value.parse().ok(),
                "index" => record.index = value.parse().ok(),
                "landing" => record.landing = value.parse().ok(),
                "carried" => record.carried.push(value.to_owned()),
                _ => {}
            }
        }
        record
    }
}
