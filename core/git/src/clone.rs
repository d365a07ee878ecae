//! Cloning, with progress.

use std::path::Path;
use std::time::Duration;

use crate::command::Git;
use crate::error::{GitError, Result};
use crate::fetch::classify;
use crate::process::Watched;

/// What is cloned, and where to.
#[derive(Debug, Clone)]
pub struct CloneOrder<'a> {
    /// A URL, `host:path`, or an absolute path.
    pub url: &'a str,
    /// Must not exist.
    pub to: &'a Path,
    /// Instead of the remote's own HEAD.
    pub branch: Option<&'a str>,
    pub timeout: Duration,
}

/// How far git says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneProgress {
    /// Git's own word for it: `Receiving objects`.
    pub phase: String,
    pub done: u64,
    pub total: u64,
}

impl Git {
    /// Clones a repository with all its branches. Whatever fails or is stopped leaves nothing at the place.
    ///
    /// # Errors
    /// `Offline`, `Auth`, `NoSuchRemoteRef`, `PathExists`, `Timeout`, `Stopped`.
    pub fn clone_repository(
        &self,
        order: &CloneOrder<'_>,
        mut progress: impl FnMut(CloneProgress) + Send + 'static,
        stop: impl Fn() -> bool + 'static,
    ) -> Result<()> {
        if order.url.is_empty() || order.url.starts_with('-') || order.url.contains('\0') {
            return Err(GitError::InvalidArgument(order.url.to_owned()));
        }
        if order.to.symlink_metadata().is_ok() {
            return Err(GitError::PathExists { path: order.to.to_owned() });
        }
        let mut command = self.change();
        // Nobody's folder: a relative address would mean another repository each time.
        command.timeout(order.timeout).args(["clone", "--progress", "--no-recurse-submodules"]);
        if let Some(branch) = order.branch {
            command.arg(format!("--branch={branch}"));
        }
        command.arg("--").arg(order.url).arg(order.to);
        let mut lines = Lines::default();
        let stderr = move |piece: &[u8]| lines.take(piece, &mut progress);
        let watched = Watched { stderr: Box::new(stderr), stop: Box::new(stop) };
        let outcome = command.attempt_watched(Some(watched));
        let failed = match outcome {
            Ok(outcome) if outcome.code == Some(0) => return Ok(()),
            Ok(outcome) => {
                classify("the repository", &outcome.stderr).unwrap_or_else(|| command.failure(&outcome))
            }
            Err(error) => error,
        };
        // Git takes back what it began, except where it was killed.
        if order.to.symlink_metadata().is_ok() {
            std::fs::remove_dir_all(order.to).map_err(|error| GitError::io(order.to, error))?;
        }
        Err(failed)
    }
}

/// Git's stderr in pieces: progress is told, everything else kept.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// A line longer than this is no progress.
    const LONGEST: usize = 4_096;

    fn take(&mut self, piece: &[u8], progress: &mut impl FnMut(CloneProgress)) -> Vec<u8> {
        let mut kept = Vec::new();
        for byte in piece {
            let ends = matches!(byte, b'\r' | b'\n');
            if !ends {
                self.0.push(*byte);
            }
            if ends || self.0.len() > Self::LONGEST {
                let line = std::mem::take(&mut self.0);
                match parse(&String::from_utf8_lossy(&line)) {
                    Some(told) => progress(told),
                    None if line.is_empty() => {}
                    None => {
                        kept.extend_from_slice(&line);
                        kept.push(b'\n');
                    }
                }
            }
        }
        kept
    }
}

/// `remote: Counting objects:  40% (2/5), 1.2 MiB | 3 MiB/s`, and `Updating files: 100% (5/5), done.`
fn parse(line: &str) -> Option<CloneProgress> {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    let (phase, rest) = line.split_once(": ")?;
    let (percent, rest) = rest.trim_start().split_once("% (")?;
    percent.parse::<u8>().ok()?;
    let (counts, _) = rest.split_once(')')?;
    let (done, total) = counts.split_once('/')?;
    Some(CloneProgress { phase: phase.to_owned(), done: done.parse().ok()?, total: total.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_and_the_rest_is_kept_however_it_is_cut() {
        let text = b"Cloning into 'x'...\nremote: Counting objects:  40% (2/5)\rReceiving objects: 100% (5/5), 1.20 MiB | \
            3 MiB/s, done.\nfatal: unexpected: 3% done\n";
        for size in [1, 7, text.len()] {
            let (mut lines, mut told, mut kept) = (Lines::default(), Vec::new(), Vec::new());
            for piece in text.chunks(size) {
                kept.extend(lines.take(piece, &mut |progress: CloneProgress| told.push(progress)));
            }
            let told: Vec<_> = told.iter().map(|told| (told.phase.as_str(), told.done, told.total)).collect();
            assert_eq!(told, [("Counting objects", 2, 5), ("Receiving objects", 5, 5)]);
            assert_eq!(kept, b"Cloning into 'x'...\nfatal: unexpected: 3% done\n");
        }
    }
}
