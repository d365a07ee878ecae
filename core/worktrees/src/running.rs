//! Gits that are at work, by what the system tells of all processes. Where there is no `/proc`, nothing is found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podium_git::{Repo, WorktreeLocation};
use podium_protocol::WireError;

use crate::error::Result;
use crate::paths;

/// Longest wait for a git that the last daemon left behind.
const OUTLIVING: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A git that outlived its daemon may still be filling the tree, and cleans up after itself if it fails.
pub(crate) fn refuse_running(path: &Path) -> Result<()> {
    if wait_for_running(path, OUTLIVING) {
        return Ok(());
    }
    let text = format!("git is still making {}", path.display());
    Err(WireError::busy(text).hint("try again in a moment").into())
}

/// Waits for a git that is at work in this tree; `false` when it does not end in time.
pub(crate) fn wait_for_running(path: &Path, patience: Duration) -> bool {
    wait_while(patience, || is_being_filled(path))
}

/// Waits for a change of ours that outlived its daemon: it may still move the branch.
pub(crate) fn refuse_moving(repo: &Repo) -> Result<()> {
    if wait_while(OUTLIVING, || is_being_moved(repo)) {
        return Ok(());
    }
    let text = format!("git is still at work in {}", repo.root().display());
    Err(WireError::busy(text).hint("`imi repair` when it is done").into())
}

/// Whether it is certain that no git, of whoever, is at work in a worktree or its repository.
pub(crate) fn is_quiet(repo: &Repo, at: Option<&WorktreeLocation>) -> bool {
    let folders: Vec<&Path> =
        std::iter::once(repo.common_dir()).chain(at.map(|at| at.path.as_path())).collect();
    let Some(mut gits) = gits() else { return false };
    !gits.any(|git| {
        git.folder.as_deref().is_some_and(|cwd| folders.iter().any(|folder| cwd.starts_with(folder)))
            || git.is_for(repo)
    })
}

fn wait_while(patience: Duration, is_running: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while is_running() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

/// Whether a git adds this worktree or writes its files, by the command lines and folders of all processes.
fn is_being_filled(path: &Path) -> bool {
    let adding = [b"worktree".to_vec(), b"add".to_vec(), paths::to_bytes(path)];
    let cloning = [b"clone".to_vec(), paths::to_bytes(path)];
    processes().into_iter().flatten().any(|process| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        let has = |word: &[u8]| line.split(|byte| *byte == 0).any(|arg| arg == word);
        let here = || std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == path);
        let all = |words: &[Vec<u8>]| words.iter().all(|word| has(word));
        all(&adding) || all(&cloning) || (has(b"reset") && has(b"--hard") && here())
    })
}

/// Whether a git moves a branch of this repository that a daemon started.
fn is_being_moved(repo: &Repo) -> bool {
    const MOVES: [&[u8]; 3] = [b"--ff-only", b"--keep", b"update-ref"];
    let moves = |git: &RunningGit| git.line.split(|byte| *byte == 0).any(|word| MOVES.contains(&word));
    gits().is_some_and(|mut gits| {
        gits.any(|git| moves(&git) && git.has(b"PODIUM_GUARD_PASS=1") && git.is_for(repo))
    })
}

struct RunningGit {
    line: Vec<u8>,
    /// `None` where it may not be asked.
    folder: Option<PathBuf>,
    variables: Vec<u8>,
}

impl RunningGit {
    fn has(&self, variable: &[u8]) -> bool {
        self.variables.split(|byte| *byte == 0).any(|found| found == variable)
    }

    fn is_for(&self, repo: &Repo) -> bool {
        let folder = |name: &str, place: &Path| [name.as_bytes(), &paths::to_bytes(place)].concat();
        ["GIT_DIR=", "GIT_COMMON_DIR="].iter().any(|name| self.has(&folder(name, repo.common_dir())))
    }
}

/// All that run; their children, such as hooks and filters, are not among them.
fn gits() -> Option<impl Iterator<Item = RunningGit>> {
    let look = |process: PathBuf| {
        let line = std::fs::read(process.join("cmdline")).ok()?;
        let program = line.split(|byte| *byte == 0).next()?;
        if program.rsplit(|byte| *byte == b'/').next() != Some(b"git") {
            return None;
        }
        let folder = std::fs::read_link(process.join("cwd")).ok();
        Some(RunningGit {
            line,
            folder,
            variables: std::fs::read(process.join("environ")).unwrap_or_default(),
        })
    };
    Some(processes()?.filter_map(look))
}

fn processes() -> Option<impl Iterator<Item = PathBuf>> {
    Some(Path::new("/proc").read_dir().ok()?.flatten().map(|entry| entry.path()))
}
