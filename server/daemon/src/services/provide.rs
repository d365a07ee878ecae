//! `worktree/env`, `worktree/submodules`, `hook/*`, and where the output of hooks goes.

use std::sync::Arc;

use podium_artifacts::{Artifacts, NewArtifact};
use podium_protocol::{
    HookApproveParams, HookList, HookListParams, WireError, WorktreeEnv, WorktreeEnvParams,
    WorktreeSubmodules, WorktreeSubmodulesParams,
};
use podium_secrets::Redactor;
use podium_worktrees::{HookOutput, HookRan};

use crate::call::Call;

type Answer<T> = Result<T, WireError>;

pub(crate) async fn env(call: Call, params: WorktreeEnvParams) -> Answer<WorktreeEnv> {
    call.daemon.worktrees.env(params, &call.worktree_caller()).await
}

pub(crate) async fn submodules(call: Call, params: WorktreeSubmodulesParams) -> Answer<WorktreeSubmodules> {
    call.daemon.worktrees.submodules(params, &call.worktree_caller()).await
}

pub(crate) async fn hooks(call: Call, params: HookListParams) -> Answer<HookList> {
    call.daemon.worktrees.hooks(params, &call.worktree_caller()).await
}

pub(crate) async fn approve(call: Call, params: HookApproveParams) -> Answer<HookList> {
    call.daemon.worktrees.approve_hooks(params, &call.worktree_caller()).await
}

/// Stores what hooks print as artifacts, without the secrets of the worktree's files.
pub(crate) fn hook_output(artifacts: &Artifacts) -> HookOutput {
    let artifacts = artifacts.clone();
    Arc::new(move |ran: HookRan| {
        let artifacts = artifacts.clone();
        Box::pin(async move { keep(&artifacts, ran).await })
    })
}

async fn keep(artifacts: &Artifacts, ran: HookRan) -> Option<String> {
    let HookRan { hook, worktree, path, command, output, succeeded } = ran;
    let outcome = if succeeded { "ran" } else { "failed" };
    let redact = move || {
        let redactor = Redactor::for_session(&Default::default(), Some(&path));
        (
            redactor.redact(&format!("hook {hook} {outcome} in {worktree}: {command}")),
            redactor.redact(&output),
            worktree,
        )
    };
    let (title, text, worktree) = tokio::task::spawn_blocking(redact).await.ok()?;
    if text.is_empty() {
        return None;
    }
    let new = NewArtifact {
        title: title.chars().take(200).collect(),
        kind: "log".to_owned(),
        media_type: "text/plain".to_owned(),
        content: text.into_bytes(),
        session: None,
        worktree: Some(worktree),
    };
    match artifacts.put(new).await {
        Ok(stored) => Some(stored.artifact.id),
        Err(error) => {
            tracing::warn!(%error, "the output of a hook was not kept");
            None
        }
    }
}
