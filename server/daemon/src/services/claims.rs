//! `claim/*`.

use podium_protocol::{
    ClaimAcquireParams, ClaimAcquired, ClaimHeartbeatParams, ClaimHeartbeaten, ClaimReleaseParams,
    ClaimReleased, ClaimVerified, ClaimVerifyParams, WireError,
};

use crate::call::Call;

type Answer<T> = Result<T, WireError>;

pub(crate) async fn acquire(call: Call, params: ClaimAcquireParams) -> Answer<ClaimAcquired> {
    let answer = call.daemon.worktrees.acquire(params, &call.worktree_caller()).await;
    call.daemon.activity.notify_waiters();
    answer
}

pub(crate) async fn release(call: Call, params: ClaimReleaseParams) -> Answer<ClaimReleased> {
    let answer = call.daemon.worktrees.release(params, &call.worktree_caller()).await;
    call.daemon.activity.notify_waiters();
    answer
}

pub(crate) async fn verify(call: Call, params: ClaimVerifyParams) -> Answer<ClaimVerified> {
    call.daemon.worktrees.verify(params, &call.worktree_caller()).await
}

pub(crate) async fn heartbeat(call: Call, params: ClaimHeartbeatParams) -> Answer<ClaimHeartbeaten> {
    call.daemon.worktrees.heartbeat(params, &call.worktree_caller()).await
}
