//! What an agent committed on its way to the claimed branch, and what a session leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podium_git::{Fetched, ImportLimits, Imported, PrivateCommon, Repo, WorktreeLocation};

use super::{Claimed, WorkplaceError, blocking, lodging};

/// How long an import waits for its turn to change the repository.
const TURN: Duration = Duration::from_secs(60);

/// What a session left in its folder, after nobody works there any more.
pub struct Left {
    /// As [`super::Opening::folder`].
    pub folder: PathBuf,
    /// Where it worked, if that is still there.
    pub place: Option<(Repo, WorktreeLocation)>,
    /// The claim under which commits come over, while it is held.
    pub claimed: Option<Arc<dyn Claimed>>,
    /// What its agent keeps for a next turn stays.
    pub keep_home: bool,
}

impl Left {
    /// Brings over what was committed. What cannot come over stays.
    ///
    /// # Errors
    /// As [`super::Workplace::import`].
    pub async fn bring_over(&self) -> Result<Option<Imported>, WorkplaceError> {
        let (Some(private), Some(claimed)) = (self.private().await?, &self.claimed) else { return Ok(None) };
        bring_over(&private, claimed, true).await
    }

    /// Deletes all of it; `false` if commits are in it that nobody else has, and it stays.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn clear(&self) -> Result<bool, WorkplaceError> {
        let has_private = self.folder.join("private").is_dir();
        let private = self.private().await?;
        let (folder, keep_home) = (self.folder.clone(), self.keep_home);
        let clear = move || {
            let kept = match &private {
                Some(private) => private.is_ahead().unwrap_or(true) || has_kept(&folder),
                // Of a worktree that is gone, or it was never finished.
                None => has_private && folder.join("private/git").is_dir(),
            };
            if kept {
                return Ok(false);
            }
            lodging::remove(&folder, keep_home).map(|()| true)
        };
        tokio::task::spawn_blocking(clear).await.unwrap_or(Err(WorkplaceError::CutOff))
    }

    async fn private(&self) -> Result<Option<Arc<PrivateCommon>>, WorkplaceError> {
        let Some((repo, at)) = self.place.clone() else { return Ok(None) };
        let folder = self.folder.join("private");
        Ok(blocking(move || PrivateCommon::find(&repo, &at, &folder)).await?.map(Arc::new))
    }
}

/// Brings commits over to the claimed branch, while the claim is held. `amended` ones may replace what came over before.
pub(super) async fn bring_over(
    private: &Arc<PrivateCommon>,
    claimed: &Arc<dyn Claimed>,
    amended: bool,
) -> Result<Option<Imported>, WorkplaceError> {
    let (private, claimed) = (Arc::clone(private), Arc::clone(claimed));
    let work = move || {
        claimed.check().map_err(WorkplaceError::ClaimLost)?;
        let fetched = private.fetch(amended, &ImportLimits::default())?;
        fetched.map(|fetched| land(&private, claimed.as_ref(), &fetched)).transpose()
    };
    blocking(work).await
}

fn land(
    private: &PrivateCommon,
    claimed: &dyn Claimed,
    fetched: &Fetched,
) -> Result<Imported, WorkplaceError> {
    let writer = private.repo().write(TURN)?;
    // Fenced: bringing much over and waiting for others take a while, and the claim may have gone meanwhile.
    claimed.check().map_err(WorkplaceError::ClaimLost)?;
    Ok(private.land(&writer, fetched)?)
}

/// Commits of another branch, put aside.
fn has_kept(folder: &Path) -> bool {
    let entries = fs::read_dir(folder.join("private")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"kept-"))
}
