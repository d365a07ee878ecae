//! `session/checkpoints`, `rewind`, `fork`, `export`, `diff` and `revert`.

use podium_protocol::{
    Alive, ClaimStanding, ClaimVerifyParams, RepoSelector, SessionCheckpoints, SessionCheckpointsParams,
    SessionDiff, SessionDiffParams, SessionExportParams, SessionExported, SessionForkParams, SessionForked,
    SessionInfo, SessionRevertParams, SessionReverted, SessionRewindParams, SessionRewound, WireError,
    WorktreeCreateParams,
};
use podium_sessions::{ForkPlan, Rewind, WorktreeRef};

use super::sessions;
use crate::call::Call;
use crate::runs;

pub(crate) async fn checkpoints(
    call: Call,
    params: SessionCheckpointsParams,
) -> Result<SessionCheckpoints, WireError> {
    let found = call.daemon.sessions.checkpoints(params.id.as_deref()).await?;
    call.own_session(&found.id)?;
    Ok(found)
}

pub(crate) async fn rewind(call: Call, params: SessionRewindParams) -> Result<SessionRewound, WireError> {
    let info = call.daemon.sessions.info(&params.id).await?;
    if call.daemon.sessions.is_running(&info.id) {
        return Err(podium_sessions::SessionError::Running(info.id).into());
    }
    // A run that is being finished commits what is there: not in the middle of this.
    let turn = runs::turn(&call.daemon, &info.id).await?;
    let announced = call.daemon.sessions.announce(&info.id);
    hold(&call, &info).await?;
    let ask = Rewind { id: info.id.clone(), to: params.to, commits: params.commits };
    let rewound = call.daemon.sessions.rewind(ask).await;
    drop(turn);
    // It may have gone back to an end.
    runs::conclude(&call.daemon, &info.id).await;
    drop(announced);
    call.daemon.activity.notify_waiters();
    Ok(rewound?)
}

/// The worktree must be the session's to change: its agent's claim, or nobody's.
async fn hold(call: &Call, info: &SessionInfo) -> Result<(), WireError> {
    let (Some(name), Some(path)) = (&info.worktree, &info.worktree_path) else { return Ok(()) };
    if !std::path::Path::new(path).is_dir() {
        // It is gone: there are no files to bring back.
        return Ok(());
    }
    let at = RepoSelector { repo: Some(path.clone()), ..Default::default() };
    if let Some(agent) = &info.agent_id {
        return sessions::claim(call, name, agent, &info.id, &at).await;
    }
    let ask = ClaimVerifyParams { at, worktree: Some(name.clone()), ..Default::default() };
    let verified = call.daemon.worktrees.verify(ask, &call.worktree_caller()).await?;
    match verified.claim {
        Some(claim) if verified.standing == ClaimStanding::Other && claim.alive != Alive::No => {
            let text = format!("worktree `{name}` is claimed by {}", claim.agent_id);
            Err(WireError::conflict(text).owned_by(claim.owner()))
        }
        _ => Ok(()),
    }
}

pub(crate) async fn fork(call: Call, params: SessionForkParams) -> Result<SessionForked, WireError> {
    let SessionForkParams { id, at, worktree, session_id } = params;
    let plan = call.daemon.sessions.plan_fork(&id, at.as_deref(), worktree.is_some()).await?;
    let mut notes = Vec::new();
    let place = match worktree {
        Some(name) => Some(make_worktree(&call, &plan, name, &mut notes).await?),
        None => None,
    };
    let mut forked = call.daemon.sessions.fork(plan, session_id.as_deref(), place).await?;
    notes.append(&mut forked.notes);
    forked.notes = notes;
    call.daemon.activity.notify_waiters();
    Ok(forked)
}

/// A worktree of the fork's own, from the commit that was checked out then. One that exists is somebody's work.
async fn make_worktree(
    call: &Call,
    plan: &ForkPlan,
    name: String,
    notes: &mut Vec<String>,
) -> Result<WorktreeRef, WireError> {
    let (path, from) = plan.base();
    call.daemon.sessions.prepare_fork(plan).await?;
    let at =
        RepoSelector { repo: path.map(|path| path.to_string_lossy().into_owned()), ..Default::default() };
    let (kind, name) = kind_of(name);
    let params = WorktreeCreateParams { at, kind: Some(kind), name: Some(name), from, ..Default::default() };
    let made = call.daemon.worktrees.create(params, &call.worktree_caller()).await?;
    let tree = made.worktree;
    if !made.created {
        let text = format!("there is a worktree `{}` already", tree.name);
        return Err(WireError::conflict(text).hint("give the fork another name, or leave out --worktree"));
    }
    notes.extend(made.notes);
    let path = match tree.path_bytes {
        Some(bytes) => bytes_path(bytes),
        None => tree.path.into(),
    };
    Ok(WorktreeRef { id: tree.id, repo: tree.repo.id, name: tree.name, path })
}

/// `fix-typo` is the worktree `typo` of type `fix`; a name without a type is a feature's.
fn kind_of(name: String) -> (String, String) {
    for kind in ["feat", "fix", "aiops", "devops"] {
        if let Some(rest) = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'))
            && !rest.is_empty()
        {
            return (kind.to_owned(), rest.to_owned());
        }
    }
    ("feat".to_owned(), name)
}

fn bytes_path(bytes: Vec<u8>) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(bytes).into()
}

pub(crate) async fn export(call: Call, params: SessionExportParams) -> Result<SessionExported, WireError> {
    let exported = call.daemon.sessions.export(params).await?;
    call.own_session(&exported.id)?;
    Ok(exported)
}

pub(crate) async fn diff(call: Call, mut params: SessionDiffParams) -> Result<SessionDiff, WireError> {
    // Before anything is computed: an agent sees its own session's only.
    let id = call.daemon.sessions.checkpoints(params.id.as_deref()).await?.id;
    call.own_session(&id)?;
    params.id = Some(id);
    Ok(call.daemon.sessions.diff(params, &call.env).await?)
}

pub(crate) async fn revert(call: Call, params: SessionRevertParams) -> Result<SessionReverted, WireError> {
    let info = call.daemon.sessions.info(&params.id).await?;
    if call.daemon.sessions.is_running(&info.id) {
        return Err(podium_sessions::SessionError::Running(info.id).into());
    }
    let turn = runs::turn(&call.daemon, &info.id).await?;
    let announced = call.daemon.sessions.announce(&info.id);
    hold(&call, &info).await?;
    let reverted = call.daemon.sessions.revert(params, &call.env).await;
    drop(turn);
    drop(announced);
    call.daemon.activity.notify_waiters();
    Ok(reverted?)
}
