//! Trunk as the remote has it: fetched before a worktree is made, unless that was done a moment ago.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use podium_git::{Fetch, Repo};

use crate::error::Result;
use crate::seen::What;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::trunk;

/// The newest fetch of a repository by Podium.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    began: Instant,
    /// Why it failed, for people.
    note: Option<String>,
}

impl Worktrees {
    /// Fetches trunk if the last fetch, by whomever, is older than `worktrees.fetch_fresh_seconds`; says so when it
    /// could not. Within that time nothing waits: what a fetch brings is asked for in the background instead, for the
    /// next one.
    pub(crate) async fn fetch_trunk(&self, handle: &Arc<RepoHandle>, caller: &Caller) -> Option<String> {
        let config = handle.config();
        let patience = u64::try_from(config.integer("worktrees.fetch_timeout_ms")).unwrap_or_default();
        if patience == 0 {
            return None;
        }
        let patience = Duration::from_millis(patience);
        let fresh = config.seconds("worktrees.fetch_fresh_seconds").unwrap_or_default();
        // One that is under way is waited for below.
        let last = handle.fetched.try_lock().ok().and_then(|last| last.clone());
        let recent = last.filter(|last| last.began.elapsed() < fresh);
        let by_hand = || age(&handle.row.common_dir.join("FETCH_HEAD")).is_some_and(|age| age < fresh);
        if recent.is_some() || by_hand() {
            self.fetch_later(handle, caller, patience);
            return recent.and_then(|recent| recent.note);
        }
        self.fetch(handle, caller, patience, Instant::now()).await
    }

    fn fetch_later(&self, handle: &Arc<RepoHandle>, caller: &Caller, patience: Duration) {
        let (this, handle, caller, asked_at) = (self.clone(), handle.clone(), caller.clone(), Instant::now());
        tokio::spawn(async move {
            // The answer to who asked comes first.
            let _ = this.inner.making.subscribe().wait_for(|count| *count == 0).await;
            let tip = tip(&handle).await;
            this.fetch(&handle, &caller, patience, asked_at).await;
            if self::tip(&handle).await != tip {
                this.announce(&handle.row.id, What::Trunk);
            }
        });
    }

    /// Requests that wait at the same time share one attempt.
    async fn fetch(
        &self,
        handle: &Arc<RepoHandle>,
        caller: &Caller,
        patience: Duration,
        asked_at: Instant,
    ) -> Option<String> {
        let mut newest = handle.fetched.lock().await;
        if let Some(fetched) = newest.as_ref()
            && fetched.began >= asked_at
        {
            return fetched.note.clone();
        }
        let began = Instant::now();
        let asked = handle.clone();
        let outcome = self.with_repo(handle, caller, move |repo| Ok(fetch(repo, &asked, patience))).await;
        let note = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) | Err(error) => {
                Some(format!("trunk was not fetched, what is here was used: {error}"))
            }
        };
        *newest = Some(Fetched { began, note: note.clone() });
        note
    }
}

fn fetch(repo: &Repo, handle: &RepoHandle, patience: Duration) -> Result<()> {
    let Ok(found) = trunk::find(handle) else { return Ok(()) };
    let remotes = repo.remotes()?;
    let tracked = found.remote.as_ref().and_then(|(name, _)| name.strip_prefix("refs/remotes/"));
    let tracked = tracked.and_then(|name| remotes.iter().find(|r| name.starts_with(&format!("{r}/"))));
    let remote = tracked.or_else(|| remotes.iter().find(|name| *name == "origin")).or(remotes.first());
    let Some(remote) = remote else { return Ok(()) };
    let mut fetch = Fetch::new(remote, patience);
    fetch.refspecs = vec![format!("+refs/heads/{0}:refs/remotes/{remote}/{0}", found.name)];
    Ok(repo.fetch(&fetch)?)
}

async fn tip(handle: &Arc<RepoHandle>) -> Option<podium_git::Oid> {
    let handle = handle.clone();
    crate::error::blocking(move || Ok(trunk::tip(&handle))).await.ok().flatten()
}

fn age(file: &Path) -> Option<Duration> {
    let modified = file.metadata().and_then(|data| data.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}
