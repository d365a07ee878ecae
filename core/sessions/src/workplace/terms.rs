//! What one agent gets beside what every agent gets.

use std::path::{Path, PathBuf};

use podium_process::sandbox::Mechanism;

use super::Approval;
use super::opening::{Confine, expanded};

/// The person's settings for one agent, and what its start brings along. The default is that of a bare model's tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Instead of `sandbox.network`.
    pub network: Option<bool>,
    /// More to read and to write, as it is configured: absolute, or below `~/`.
    pub read: Vec<String>,
    pub write: Vec<String>,
    /// Files that its command line names.
    pub files: Vec<PathBuf>,
    /// Somebody's word that it may work unconfined.
    pub unsandboxed: Option<Approval>,
    /// It is to work unconfined although something could confine it.
    pub prefer_unsandboxed: bool,
    /// It works there already, started by an earlier daemon.
    pub occupied: bool,
}

impl Confine {
    /// With what the terms say. What does not exist is passed over, and so is what would show more than it names: a folder
    /// that holds the worktree or what is hidden.
    #[must_use]
    pub fn under(mut self, terms: &Terms, user_home: Option<&Path>, kept: &[&Path]) -> Self {
        let hidden = self.hidden.clone();
        let fits = |path: &PathBuf| {
            let Ok(real) = path.canonicalize() else { return false };
            let holds = kept.iter().any(|kept| kept.starts_with(&real));
            let reaches = hidden.iter().any(|hidden| hidden.starts_with(&real) || real.starts_with(hidden));
            if holds || reaches {
                tracing::warn!(path = %path.display(), "an agent is not given what its settings name: it holds too much");
            }
            !holds && !reaches
        };
        let chosen = |paths: &[String]| -> Vec<PathBuf> {
            paths.iter().filter_map(|path| expanded(path, user_home)).filter(&fits).collect()
        };
        let (read, write) = (chosen(&terms.read), chosen(&terms.write));
        let files = terms.files.iter().filter(|file| fits(file)).cloned();
        self.linked = read.iter().chain(&write).cloned().collect();
        self.read.extend(read.into_iter().chain(files));
        self.write = write;
        self.network = terms.network.unwrap_or(self.network);
        if let Some(approval) = &terms.unsandboxed {
            self.unsandboxed = Some(approval.clone());
            if terms.prefer_unsandboxed {
                self.mechanism = Some(Mechanism::None);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_shown_as_named_and_nothing_that_holds_what_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().canonicalize().unwrap();
        for folder in [".claude", ".podium/run", "src/app"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        let confine = Confine { hidden: vec![home.join(".podium")], ..Confine::default() };
        let terms = Terms {
            network: Some(true),
            read: vec!["~/src".into(), "~/.podium/run".into(), "relative".into()],
            write: vec!["~/.claude".into(), "~/absent".into(), "~/".into()],
            ..Terms::default()
        };
        let confine = confine.under(&terms, Some(&home), &[&home.join("src/app")]);
        assert_eq!((confine.read, confine.write), (vec![], vec![home.join(".claude")]));
        assert_eq!((confine.linked, confine.network), (vec![home.join(".claude")], true));
        assert_eq!((confine.mechanism, confine.unsandboxed), (None, None));
    }
}
