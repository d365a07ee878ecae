//! Which repositories a list is about, and what they are called.

use std::collections::HashMap;

use podium_protocol::{ListScope, RepoRef, RepoSelector, WireError};
use podium_worktrees::Lies;

use crate::call::Call;

/// Ids of the repositories; `None` for everything there is.
pub(super) async fn repos(call: &Call, scope: &ListScope) -> Result<Option<Vec<String>>, WireError> {
    let worktrees = &call.daemon.worktrees;
    let at = &scope.at;
    if at.repo.is_some() || at.repo_bytes.is_some() || at.uri.is_some() {
        return match worktrees.repo_of(at).await? {
            Lies::In(id) => Ok(Some(vec![id])),
            Lies::InUnknown => Ok(Some(Vec::new())),
            Lies::Outside => {
                let place = at.repo.as_deref().or(at.uri.as_deref()).unwrap_or("the path");
                Err(WireError::not_found(format!("{place} lies in no git repository")))
            }
        };
    }
    let (mut ids, mut somewhere) = (Vec::new(), false);
    for uri in scope.uris.iter().filter(|_| !scope.all) {
        let at = RepoSelector { uri: Some(uri.clone()), ..RepoSelector::default() };
        match worktrees.repo_of(&at).await {
            Ok(Lies::In(id)) => ids.push(id),
            Ok(Lies::InUnknown) => {}
            // An editor may show what is no file at all.
            Ok(Lies::Outside) | Err(_) => continue,
        }
        somewhere = true;
    }
    Ok(somewhere.then_some(ids))
}

/// All repositories by their ids.
pub(super) async fn names(call: &Call) -> Result<HashMap<String, RepoRef>, WireError> {
    let repos = call.daemon.worktrees.repos().await?.repos;
    Ok(repos.into_iter().map(|repo| (repo.id.clone(), repo)).collect())
}
