//! Worktrees and claims.

use std::sync::Arc;

use podium_protocol::{
    ClaimAcquire, ClaimAcquireParams, ClaimAcquired, ClaimRelease, ClaimReleaseParams, ClaimReleased,
    ClaimVerified, ClaimVerify, ClaimVerifyParams, WireError, WorktreeConflicts, WorktreeConflictsMethod,
    WorktreeConflictsParams, WorktreeCreate, WorktreeCreateParams, WorktreeCreated, WorktreeList,
    WorktreeListMethod, WorktreeListParams, WorktreeStatus, WorktreeStatusMethod, WorktreeStatusParams,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::desk::Desk;
use super::super::tool::Asking;
use super::{Answer, LONGEST_WAIT};

/// Which repository.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InRepo {
    /// Any path inside the repository. Default: the one this server was started in.
    repo: Option<String>,
}

pub(super) async fn list(desk: Arc<Desk>, input: InRepo, _: Asking) -> Answer<WorktreeList> {
    let params = WorktreeListParams { at: desk.place(input.repo), all: false };
    desk.client.call::<WorktreeListMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OneWorktree {
    /// Name of the worktree. Default: the one that `repo` lies in.
    worktree: Option<String>,
    /// Any path inside the repository. Default: the one this server was started in.
    repo: Option<String>,
}

pub(super) async fn status(desk: Arc<Desk>, input: OneWorktree, _: Asking) -> Answer<WorktreeStatus> {
    let params = WorktreeStatusParams { at: desk.place(input.repo), name: input.worktree, short: false };
    desk.client.call::<WorktreeStatusMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Create {
    /// feat, fix, aiops, devops, or a type of the user's own.
    #[serde(rename = "type")]
    kind: String,
    /// Becomes `<type>-<name>`.
    name: String,
    /// Revision to start from. Default: trunk.
    from: Option<String>,
    repo: Option<String>,
}

pub(super) async fn create(desk: Arc<Desk>, input: Create, _: Asking) -> Answer<WorktreeCreated> {
    let params = WorktreeCreateParams {
        at: desk.place(input.repo),
        kind: Some(input.kind),
        name: Some(input.name),
        agent_id: desk.agent.clone(),
        from: input.from,
        pid: desk.pid(),
        with_submodules: false,
    };
    let made = desk.client.call::<WorktreeCreate>(params).await?;
    if let Some(claim) = &made.worktree.claim {
        desk.claimed(&made.worktree.path, claim.token);
    }
    Ok(made)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Claim {
    worktree: Option<String>,
    /// Seconds to wait where somebody else has it, first come first served; at most 3,600. Default: none.
    wait: Option<u32>,
    repo: Option<String>,
}

pub(super) async fn claim(desk: Arc<Desk>, input: Claim, asking: Asking) -> Answer<ClaimAcquired> {
    let wait = input.wait.map(|seconds| seconds.min(LONGEST_WAIT));
    let params = ClaimAcquireParams {
        at: desk.place(input.repo),
        worktree: input.worktree,
        agent_id: desk.agent.clone(),
        pid: desk.pid(),
        wait,
        ..ClaimAcquireParams::default()
    };
    let call = desk.client.call::<ClaimAcquire>(params);
    let acquired = asking.while_waiting("waiting for the worktree", wait, call).await?;
    desk.claimed(&acquired.path, acquired.token);
    Ok(acquired)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Release {
    worktree: Option<String>,
    /// Release although there are uncommitted changes.
    #[serde(default)]
    allow_dirty: bool,
    repo: Option<String>,
}

pub(super) async fn release(desk: Arc<Desk>, input: Release, _: Asking) -> Answer<ClaimReleased> {
    let at = desk.place(input.repo);
    let short = WorktreeStatusParams { at: at.clone(), name: input.worktree.clone(), short: true };
    let path = desk.client.call::<WorktreeStatusMethod>(short).await?.worktree.path;
    let Some(token) = desk.token(&path) else {
        return Err(WireError::conflict("you have not claimed this worktree")
            .hint("what was claimed elsewhere is released there"));
    };
    let params = ClaimReleaseParams {
        at,
        worktree: input.worktree,
        agent_id: desk.agent.clone(),
        token: Some(token),
        allow_dirty: input.allow_dirty,
        force: false,
    };
    let released = desk.client.call::<ClaimRelease>(params).await?;
    desk.released(&path);
    Ok(released)
}

pub(super) async fn verify(desk: Arc<Desk>, input: OneWorktree, _: Asking) -> Answer<ClaimVerified> {
    let params = ClaimVerifyParams {
        at: desk.place(input.repo),
        worktree: input.worktree,
        agent_id: desk.agent.clone(),
        token: None,
    };
    desk.client.call::<ClaimVerify>(params).await
}

pub(super) async fn conflicts(desk: Arc<Desk>, input: OneWorktree, _: Asking) -> Answer<WorktreeConflicts> {
    let params = WorktreeConflictsParams { at: desk.place(input.repo), name: input.worktree };
    desk.client.call::<WorktreeConflictsMethod>(params).await
}
