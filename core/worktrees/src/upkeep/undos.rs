//! What can be taken back.

use podium_protocol::{UndoKind, UndoList, UndoListParams, Undoable, WireError};
use podium_store::rfc3339;

use super::disk::bytes_of;
use crate::error::{Result, blocking};
use crate::merging::Merge;
use crate::removal::Removal;
use crate::service::Worktrees;
use crate::settings::Caller;

impl Worktrees {
    /// Removals and merges that can be undone, newest first, with the disk they keep in use.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn undos(&self, params: UndoListParams, caller: &Caller) -> Result<UndoList, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        let repo = handle.row.id.clone();
        let read = self.inner.store.read(move |conn| -> Result<_> {
            let removals = Removal::in_state(conn, "trashed")?;
            Ok((removals, Merge::in_state(conn, &repo, "merged")?))
        });
        let (removals, merges) = read.await?;
        let removals: Vec<Removal> =
            removals.into_iter().filter(|removal| removal.repo == handle.row.id).collect();
        let measured = blocking(move || {
            Ok(removals.into_iter().map(|removal| (bytes_of(&removal), removal)).collect::<Vec<_>>())
        });
        let mut undos: Vec<(i64, Undoable)> = Vec::new();
        for (bytes, removal) in measured.await? {
            let undo = Undoable {
                id: removal.id,
                what: UndoKind::Removal,
                name: removal.name,
                branch: removal.branch,
                by: removal.removed_by,
                at: rfc3339(removal.removed_at),
                until: rfc3339(removal.purge_at),
                bytes,
            };
            undos.push((removal.removed_at, undo));
        }
        for merge in merges {
            let undo = Undoable {
                id: merge.id,
                what: UndoKind::Merge,
                name: merge.name,
                branch: Some(merge.branch),
                by: merge.merged_by,
                at: rfc3339(merge.merged_at),
                until: rfc3339(merge.purge_at),
                bytes: 0,
            };
            undos.push((merge.merged_at, undo));
        }
        if let Some(layout) = self.converted(&handle).await? {
            let undo = Undoable {
                id: layout.id,
                what: UndoKind::Layout,
                name: handle.row.root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                branch: None,
                by: layout.changed_by,
                at: rfc3339(layout.changed_at),
                until: rfc3339(layout.changed_at.saturating_add(self.undo_ms())),
                bytes: 0,
            };
            undos.push((layout.changed_at, undo));
        }
        undos.sort_by(|a, b| (b.0, &b.1.id).cmp(&(a.0, &a.1.id)));
        Ok(UndoList { undos: undos.into_iter().map(|(_, undo)| undo).collect() })
    }
}
