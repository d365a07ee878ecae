//! Claiming, releasing, verifying.

use jiff::Timestamp;
use podium_protocol::{
    ClaimAcquire, ClaimAcquireParams, ClaimHeartbeat, ClaimHeartbeatParams, ClaimRelease, ClaimReleaseParams,
    ClaimStanding, ClaimVerified, ClaimVerify, ClaimVerifyParams, RepoSelector,
};

use super::args::{ClaimArgs, HeartbeatArgs, ImiCommand, ReleaseArgs, VerifyArgs};
use super::{folder_name, render};
use crate::context::Context;
use crate::output::{Ending, Failure, usage};
use crate::progress::waiting;

pub(super) async fn claim(context: &Context, at: RepoSelector, args: ClaimArgs) -> Ending {
    let message = if args.wait.is_some() { "waiting for the claim" } else { "claiming" };
    let params = ClaimAcquireParams {
        at,
        worktree: Some(folder_name(args.name)),
        agent_id: context.agent(args.agent_id),
        pid: args.pid,
        session: None,
        wait: args.wait,
        force: args.force,
    };
    let client = context.client()?;
    let claimed = waiting(&context.output, message, client.call::<ClaimAcquire>(params)).await?;
    context.output.reply(&claimed, |paint| render::claimed(&claimed, Timestamp::now(), paint))?;
    Ok(0)
}

pub(super) async fn release(context: &Context, at: RepoSelector, args: ReleaseArgs) -> Ending {
    let params = ClaimReleaseParams {
        at,
        worktree: Some(folder_name(args.name)),
        agent_id: context.agent(args.agent_id),
        token: context.token(args.token)?,
        allow_dirty: args.allow_dirty,
        force: args.force,
    };
    let client = context.client()?;
    let released = waiting(&context.output, "releasing", client.call::<ClaimRelease>(params)).await?;
    context.output.reply(&released, |paint| format!("{} {} is free", paint.green("✓"), released.worktree))?;
    Ok(0)
}

/// Exit code of `imi verify-lock` when it cannot tell.
const VERIFY_ERROR: u8 = 2;

pub(super) async fn verify_lock(context: &Context, at: RepoSelector, args: VerifyArgs) -> Ending {
    verify(context, at, args).await.map_err(cannot_tell)
}

/// A failure before the command is reached, with the exit code that the command gives it.
pub(super) fn with_own_code(command: &ImiCommand, failure: Failure) -> Failure {
    if matches!(command, ImiCommand::VerifyLock(_)) { cannot_tell(failure) } else { failure }
}

fn cannot_tell(failure: Failure) -> Failure {
    match failure {
        Failure::Wire(error) => Failure::Coded(error, VERIFY_ERROR),
        failure => failure,
    }
}

async fn verify(context: &Context, at: RepoSelector, args: VerifyArgs) -> Ending {
    let params = ClaimVerifyParams {
        at,
        worktree: args.name.map(folder_name),
        agent_id: context.agent(args.agent_id),
        token: context.token(args.token)?,
    };
    let client = context.client()?;
    let verified = waiting(&context.output, "asking", client.call::<ClaimVerify>(params)).await?;
    context.output.reply(&verified, |paint| render::verified(&verified, Timestamp::now(), paint))?;
    Ok(verify_code(&verified))
}

/// 0 mine or free, 1 somebody else's. A stale token means that somebody took the claim over.
fn verify_code(verified: &ClaimVerified) -> u8 {
    match verified.standing {
        ClaimStanding::Free | ClaimStanding::Mine => 0,
        ClaimStanding::Stale | ClaimStanding::Other => 1,
    }
}

pub(super) async fn heartbeat(context: &Context, at: RepoSelector, args: HeartbeatArgs) -> Ending {
    let token = context.token(args.token)?;
    if token.is_none() && context.agent(None).is_some() {
        let text = "an agent's heartbeat needs the claim's token";
        return Err(usage(text, "give --token or set PODIUM_CLAIM_TOKEN"));
    }
    let params = ClaimHeartbeatParams { at, worktree: args.name.map(folder_name), token };
    let beaten = context.client()?.call::<ClaimHeartbeat>(params).await?;
    context.output.reply(&beaten, |paint| {
        format!("{} {} is kept for {}", paint.green("✓"), beaten.worktree, beaten.claim.agent_id)
    })?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_lock_has_its_own_exit_codes() {
        for (standing, code) in [
            (ClaimStanding::Free, 0),
            (ClaimStanding::Mine, 0),
            (ClaimStanding::Other, 1),
            (ClaimStanding::Stale, 1),
        ] {
            assert_eq!(
                verify_code(&ClaimVerified { worktree: "feat-x".into(), standing, claim: None }),
                code
            );
        }
    }
}
