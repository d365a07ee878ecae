//! Stored sessions: list, show, cancel, and the capability socket.

use podium_client::Client;
use podium_protocol::{
    ListScope, SessionCancel, SessionCancelParams, SessionCapabilityMethod, SessionCapabilityParams,
    SessionListMethod, SessionListParams, SessionShow, SessionShowParams, SessionShown, WireError,
};

use super::args::{SessionIdArgs, SessionListArgs, SessionShowArgs};
use super::{now, render};
use crate::context::Context;
use crate::output::Ending;
use crate::progress::waiting;
use crate::style::shell_word;

pub(super) async fn list(context: &Context, scope: ListScope, args: SessionListArgs) -> Ending {
    let params = SessionListParams {
        scope,
        status: args.status.map(Into::into),
        worktree: args.worktree,
        query: None,
        limit: args.limit,
    };
    print_list(context, params).await
}

async fn print_list(context: &Context, params: SessionListParams) -> Ending {
    let client = context.client()?;
    let answer = waiting(&context.output, "listing", client.call::<SessionListMethod>(params)).await?;
    context.output.reply(&answer, |paint| render::sessions(&answer.sessions, now(), paint))?;
    Ok(0)
}

pub(super) async fn show(context: &Context, args: SessionShowArgs) -> Ending {
    let client = context.client()?;
    let params = SessionShowParams { id: args.id, from_seq: args.from_seq };
    let shown = waiting(&context.output, "reading", whole_session(&client, params)).await?;
    context.output.reply(&shown, |paint| render::transcript(&shown, now(), paint))?;
    Ok(0)
}

/// A session with all its items, which may take several answers.
///
/// # Errors
/// What the daemon answers.
pub(super) async fn whole_session(
    client: &Client,
    params: SessionShowParams,
) -> Result<SessionShown, WireError> {
    let mut shown = client.call::<SessionShow>(params).await?;
    while shown.more {
        let Some(last) = shown.items.last().map(|i| i.seq) else { break };
        let params = SessionShowParams { id: Some(shown.session.id.clone()), from_seq: Some(last) };
        let next = client.call::<SessionShow>(params).await?;
        // An answer without items and with more to come would never end.
        shown.more = next.more && !next.items.is_empty();
        shown.session = next.session;
        shown.items.extend(next.items);
    }
    Ok(shown)
}

pub(super) async fn cancel(context: &Context, args: SessionIdArgs) -> Ending {
    let client = context.client()?;
    let call = client.call::<SessionCancel>(SessionCancelParams { id: args.id });
    let answer = waiting(&context.output, "cancelling", call).await?;
    context
        .output
        .reply(&answer, |_| format!("{} is {}", answer.id, answer.status.as_str().replace('_', " ")))?;
    Ok(0)
}

pub(super) async fn capability(context: &Context, args: SessionIdArgs) -> Ending {
    let client = context.client()?;
    let answer = client.call::<SessionCapabilityMethod>(SessionCapabilityParams { id: args.id }).await?;
    context.output.reply(&answer, |_| {
        answer.env.iter().map(|(name, value)| format!("export {name}={}\n", shell_word(value))).collect()
    })?;
    Ok(0)
}
