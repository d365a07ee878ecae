//! The folder of hooks.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::service::new_id;

const SHIM: &str = include_str!("shim.sh");
/// What every version of the shim has in it.
const MARK: &str = "# Podium's guard.";
/// Every hook that git runs by name in a worktree: one that is missing here would not run any more.
const HOOKS: &[&str] = &[
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "p4-changelist",
    "p4-prepare-changelist",
    "p4-post-changelist",
    "p4-pre-submit",
    "post-index-change",
];

/// Within Podium's folder of the repository, which goes when the repository is forgotten.
pub(super) fn folder(common_dir: &Path) -> PathBuf {
    common_dir.join("podium/guard")
}

/// Names of hooks that are not as they were written.
pub(super) fn altered(folder: &Path) -> Vec<&'static str> {
    let differs = |name: &&&str| fs::read(folder.join(name)).map_or(true, |found| found != SHIM.as_bytes());
    HOOKS.iter().filter(differs).copied().collect()
}

/// Writes what is missing or altered. A hook that another tool put here is moved to where it belongs.
pub(super) fn write(folder: &Path, common_dir: &Path) -> io::Result<()> {
    let altered = altered(folder);
    if altered.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    for name in altered {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|text| !text.contains(MARK)) {
            move_away(&path, folder, common_dir, name)?;
        }
        put(folder, &path)?;
    }
    Ok(())
}

/// Tools that ask git where hooks belong write here while the guard is in force.
fn move_away(path: &Path, folder: &Path, common_dir: &Path, name: &str) -> io::Result<()> {
    let usual = common_dir.join("hooks").join(name);
    let to = if usual.exists() { folder.join("kept").join(format!("{name}-{}", new_id())) } else { usual };
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    tracing::warn!(hook = name, to = %to.display(), "a hook of another tool was moved out of the guard's folder");
    fs::rename(path, to)
}

fn put(folder: &Path, path: &Path) -> io::Result<()> {
    let new = folder.join(format!(".new-{}", new_id()));
    let mut file = fs::File::create(&new)?;
    file.write_all(SHIM.as_bytes())?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    drop(file);
    fs::rename(&new, path)
}
