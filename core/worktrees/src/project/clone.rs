//! A project folder by cloning.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use podium_git::{CloneOrder, CloneProgress, GitError, Repo};
use podium_protocol::WireError;
use podium_store::{Durability, Tx};

use super::init::staging_beside;
use super::plan;
use super::rows::{Kind, Layout};
use crate::error::{Error, Result, blocking};
use crate::removal::{Step, trash};
use crate::running::wait_for_running;
use crate::service::{RepoHandle, Worktrees, after, new_id};
use crate::settings::Caller;

/// Name of the clone in the staging folder, until its branch is known.
const DRAFT: &str = "clone";
/// Longest wait for a git that the last daemon left behind.
const OUTLIVING: std::time::Duration = std::time::Duration::from_secs(20);

/// Who waits for a clone.
pub struct CloneFollower {
    pub progress: Box<dyn FnMut(CloneProgress) + Send>,
    /// `true` once nobody waits any more: the clone ends then, and leaves nothing.
    pub gone: Box<dyn Fn() -> bool + Send>,
}

impl CloneFollower {
    /// Somebody who waits to the end and looks at nothing.
    #[must_use]
    pub fn patient() -> Self {
        Self { progress: Box::new(|_| {}), gone: Box::new(|| false) }
    }
}

impl Worktrees {
    pub(super) async fn init_by_clone(
        &self,
        url: String,
        folder: PathBuf,
        branch: Option<String>,
        caller: &Caller,
        follower: CloneFollower,
    ) -> Result<Arc<RepoHandle>> {
        let project = checked(&folder)?;
        let (this, asker, at) = (self.clone(), caller.clone(), project.clone());
        let work = async move {
            let _turn = this.inner.gates.enter(format!("clone/{}", at.display())).await;
            refuse_taken(&at)?;
            let id = new_id();
            let layout = Layout {
                repo: None,
                kind: Kind::Clone,
                staging: staging_beside(&at, &id),
                old_root: at.join(DRAFT),
                new_root: at.join(DRAFT),
                changed_by: asker.name().to_owned(),
                changed_at: this.now(),
                id,
            };
            this.clone_into(layout, url, branch, &asker, follower).await
        };
        let root = self.to_its_end(work).await?;
        Ok(self.register_path(&root, caller).await?.0)
    }

    /// Answers the folder of the main worktree.
    async fn clone_into(
        &self,
        layout: Layout,
        url: String,
        branch: Option<String>,
        caller: &Caller,
        follower: CloneFollower,
    ) -> Result<PathBuf> {
        let task = layout.clone();
        let intend = move |tx: &Tx<'_>| -> Result<()> { Ok(task.insert(tx, &[])?) };
        self.inner.store.write(Durability::Power, intend).await?;
        after(&self.inner.settings, Step::LayoutIntent)?;
        let (this, task, caller) = (self.clone(), layout.clone(), caller.clone());
        let made = blocking(move || {
            let git = this.git(Some(&caller))?;
            let draft = task.staging.join(DRAFT);
            trash::make(&task.staging)?;
            let timeout = this.inner.config.get().seconds("worktrees.clone_timeout_seconds");
            let timeout = timeout.unwrap_or(std::time::Duration::from_secs(14_400));
            let order = CloneOrder { url: &url, to: &draft, branch: branch.as_deref(), timeout };
            let CloneFollower { progress, gone } = follower;
            let inner = this.inner.clone();
            let stop = move || gone() || inner.ending.load(Ordering::Relaxed);
            git.clone_repository(&order, progress, stop).map_err(|error| explained(error, &url))?;
            let settings = &this.inner.settings;
            after(settings, Step::LayoutMoving)?;
            let trunk = format!("trunk-{}", checked_out(&git, &draft)?.replace('/', "-"));
            trash::rename(&draft, &task.staging.join(&trunk))?;
            plan::furnish(&task.staging)?;
            let project = task.project();
            let _ = std::fs::remove_dir(project);
            trash::rename(&task.staging, project)?;
            after(settings, Step::LayoutMoved)?;
            Ok(project.join(trunk))
        })
        .await;
        match made {
            Err(Error::Unfinished) => return Err(Error::Unfinished),
            Err(_) => {
                let staging = layout.staging.clone();
                blocking(move || trash::delete(&staging)).await?;
            }
            Ok(_) => {}
        }
        self.forget_layout(&layout).await?;
        made
    }

    /// A clone that was cut off leaves nothing; one that had taken its place stays.
    pub(super) async fn settle_clone(&self, layout: Layout) -> Result<()> {
        let staging = layout.staging.clone();
        blocking(move || {
            // Git ends by itself when nobody reads what it says; it must not write into what is deleted.
            wait_for_running(&staging.join(DRAFT), OUTLIVING);
            trash::delete(&staging)
        })
        .await?;
        self.forget_layout(&layout).await
    }
}

fn checked(folder: &Path) -> Result<PathBuf, WireError> {
    let refuse = |why: &str| WireError::user(format!("{} {why}", folder.display()));
    if !folder.is_absolute() || folder.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(refuse("is not an absolute path"));
    }
    let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Err(refuse("cannot be a project folder"));
    };
    let above = above.canonicalize().map_err(|_| {
        WireError::not_found(format!("there is no folder {}", above.display())).hint("make it first")
    })?;
    Ok(above.join(name))
}

fn refuse_taken(project: &Path) -> Result<(), WireError> {
    let empty = |folder: &Path| folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    if trash::exists(project) && (project.is_symlink() || !empty(project)) {
        return Err(WireError::conflict(format!("{} exists already", project.display()))
            .hint("name another folder: imi init URL FOLDER"));
    }
    Ok(())
}

/// The branch that the clone has checked out, or will have with its first commit.
fn checked_out(git: &podium_git::Git, root: &Path) -> Result<String> {
    let repo = Repo::discover(git, root)?;
    let head = repo.head(&repo.main_worktree()?)?;
    Ok(head.branch().unwrap_or("main").to_owned())
}

fn explained(error: GitError, url: &str) -> Error {
    let shown = podium_git::redact_urls(url);
    match error {
        GitError::NoSuchRemoteRef { detail, .. } => {
            WireError::not_found(format!("{shown} has no such repository or branch: {detail}"))
                .hint("check the address; a private one needs credentials")
                .into()
        }
        error => error.into(),
    }
}
