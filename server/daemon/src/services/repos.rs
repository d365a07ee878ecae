//! `repo/*`.

use podium_protocol::{
    Progress, RepoForgetParams, RepoForgotten, RepoInitParams, RepoInited, RepoList, RepoListParams,
    RepoRegisterParams, RepoRegistered, WireError, notify,
};
use podium_worktrees::CloneFollower;

use crate::call::Call;

pub(crate) async fn register(call: Call, params: RepoRegisterParams) -> Result<RepoRegistered, WireError> {
    call.daemon.worktrees.register(&params.at, &call.worktree_caller()).await
}

pub(crate) async fn list(call: Call, _params: RepoListParams) -> Result<RepoList, WireError> {
    call.daemon.worktrees.repos().await
}

pub(crate) async fn init(call: Call, params: RepoInitParams) -> Result<RepoInited, WireError> {
    let (peer, request, gone) = (std::sync::Arc::clone(&call.peer), call.request, call.peer.gone.clone());
    let follower = CloneFollower {
        progress: Box::new(move |told| {
            let progress = Progress { request, message: told.phase, done: told.done, total: told.total };
            peer.notify_lossy(notify::PROGRESS, &progress);
        }),
        gone: Box::new(move || gone.is_cancelled()),
    };
    call.daemon.worktrees.init(params, &call.worktree_caller(), follower).await
}

pub(crate) async fn forget(call: Call, params: RepoForgetParams) -> Result<RepoForgotten, WireError> {
    call.daemon.worktrees.forget(params, &call.worktree_caller()).await
}
