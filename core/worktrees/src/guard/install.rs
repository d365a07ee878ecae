//! Into a worktree and out again.

use podium_git::{RepoWriter, WorktreeLocation};

use super::shims;
use crate::error::{Error, Result};
use crate::rows::WorktreeRow;
use crate::service::RepoHandle;
use crate::view::location;

pub(super) const KEY: &str = "core.hooksPath";
/// What the worktree's own `core.hooksPath` was before; the shim reads it.
pub(super) const BEFORE: &str = "podium.hooksPath";
/// Written by the shim: where it found the hooks of before.
const FOUND: &str = "podium-hooks";

/// Guards a linked worktree; `true` if git's settings had to be extended for it. A look at one file where it is in
/// force already: this is on the path of every claim.
pub(super) fn ensure(handle: &RepoHandle, row: &WorktreeRow) -> Result<bool> {
    if is_in_force(handle, row) {
        return Ok(false);
    }
    let folder = shims::folder(&handle.row.common_dir);
    let Some(text) = folder.to_str().filter(|text| !text.contains('\n')) else {
        return Ok(false);
    };
    let writer = handle.repo.write(handle.patience())?;
    shims::write(&folder, &handle.row.common_dir).map_err(|error| Error::io("written", &folder, error))?;
    let extended = writer.enable_worktree_settings()?;
    let at = location(row);
    if let Some(before) = writer.worktree_setting(&at, KEY)?.filter(|before| before != text) {
        writer.set_worktree_setting(&at, BEFORE, Some(&before))?;
    }
    writer.set_worktree_setting(&at, KEY, Some(text))?;
    Ok(extended)
}

/// By the text of the file: parsing it would cost more than it tells.
pub(super) fn is_in_force(handle: &RepoHandle, row: &WorktreeRow) -> bool {
    let folder = shims::folder(&handle.row.common_dir);
    let Some(text) = folder.to_str() else { return false };
    let settings = std::fs::read_to_string(row.admin_dir.join("config.worktree")).unwrap_or_default();
    // Git and libgit2 write special characters with a backslash.
    let written = text.replace('\\', "\\\\").replace('"', "\\\"");
    settings.contains(&written) && folder.join("reference-transaction").is_file()
}

/// Takes the guard out of one worktree; `true` if it was in.
pub(super) fn take_back(handle: &RepoHandle, writer: &RepoWriter, at: &WorktreeLocation) -> Result<bool> {
    let folder = shims::folder(&handle.row.common_dir);
    let _ = std::fs::remove_file(at.git_dir.join(FOUND));
    let ours = writer.worktree_setting(at, KEY)?.is_some_and(|value| folder.to_str() == Some(value.as_str()));
    let before = writer.worktree_setting(at, BEFORE)?;
    if before.is_some() {
        writer.set_worktree_setting(at, BEFORE, None)?;
    }
    if ours {
        writer.set_worktree_setting(at, KEY, before.as_deref())?;
    }
    Ok(ours)
}
