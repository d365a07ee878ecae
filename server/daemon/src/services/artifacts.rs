//! `artifact/*`.

use std::path::PathBuf;

use podium_artifacts::{MAX_TEXT, NewArtifact};
use podium_protocol::{
    ArtifactContent, ArtifactGetParams, ArtifactHits, ArtifactList, ArtifactListParams, ArtifactPutParams,
    ArtifactSearchParams, ArtifactStored, WireError,
};
use podium_secrets::Redactor;

use super::scope;
use crate::call::Call;

pub(crate) async fn search(call: Call, params: ArtifactSearchParams) -> Result<ArtifactHits, WireError> {
    Ok(ArtifactHits { hits: call.daemon.artifacts.search(params).await? })
}

pub(crate) async fn list(call: Call, params: ArtifactListParams) -> Result<ArtifactList, WireError> {
    let repos = scope::repos(&call, &params.scope).await?;
    let chosen = repos.is_some();
    let made_in = call.daemon.sessions.started_in(repos).await?;
    let sessions = chosen.then(|| made_in.keys().cloned().collect());
    let mut artifacts = call.daemon.artifacts.list_of(params, sessions).await?;
    let names = scope::names(&call).await?;
    for artifact in &mut artifacts {
        let repo = artifact.session.as_ref().and_then(|session| made_in.get(session));
        artifact.repo = repo.and_then(|id| names.get(id).cloned());
    }
    Ok(ArtifactList { artifacts })
}

pub(crate) async fn get(call: Call, params: ArtifactGetParams) -> Result<ArtifactContent, WireError> {
    let content = call.daemon.artifacts.get(&params.id).await?;
    Ok(ArtifactContent {
        artifact: content.artifact,
        text: content.text,
        path: content.path.to_string_lossy().into_owned(),
    })
}

pub(crate) async fn put(call: Call, params: ArtifactPutParams) -> Result<ArtifactStored, WireError> {
    if params.text.len() > MAX_TEXT {
        return Err(WireError::user(format!(
            "an artifact's text has at most {} MiB",
            MAX_TEXT / 1024 / 1024
        )));
    }
    let session = match call.agent() {
        Some((session, _)) => Some(session.to_owned()),
        None => params.session,
    };
    let redactor = redactor(&call, session.as_deref()).await;
    let new = NewArtifact {
        title: redactor.redact(&params.title),
        kind: params.kind,
        media_type: params.media_type.unwrap_or_else(|| "text/plain".to_owned()),
        content: redactor.redact(&params.text).into_bytes(),
        session,
        worktree: params.worktree,
    };
    let stored = call.daemon.artifacts.put(new).await?;
    Ok(ArtifactStored { artifact: stored.artifact, duplicate: stored.duplicate })
}

/// Knows the secrets of the caller's variables and of the session's worktree, whose files it reads.
pub(super) async fn redactor(call: &Call, session: Option<&str>) -> Redactor {
    let info = match session {
        Some(session) => call.daemon.sessions.info(session).await.ok(),
        None => None,
    };
    let worktree = info.and_then(|info| info.worktree_path).map(PathBuf::from);
    let env = call.env.clone();
    let build = move || Redactor::for_session(&env, worktree.as_deref());
    tokio::task::spawn_blocking(build).await.unwrap_or_default()
}
