//! `inbox/*`.

use podium_protocol::{
    InboxAnswerParams, InboxAnswered, InboxAskParams, InboxList, InboxListParams, WireError,
};

use crate::call::Call;

pub(crate) async fn ask(call: Call, params: InboxAskParams) -> Result<InboxAnswered, WireError> {
    let agent = call.acting(params.agent_id)?;
    let session = call.agent().map(|(session, _)| session.to_owned());
    Ok(InboxAnswered { item: call.daemon.inbox.ask(agent, session, params.question).await? })
}

pub(crate) async fn list(call: Call, params: InboxListParams) -> Result<InboxList, WireError> {
    let mut items = call.daemon.inbox.list(params.all).await?;
    if let Some((session, _)) = call.agent() {
        items.retain(|item| item.session.as_deref() == Some(session));
    }
    Ok(InboxList { items })
}

pub(crate) async fn answer(call: Call, params: InboxAnswerParams) -> Result<InboxAnswered, WireError> {
    Ok(InboxAnswered { item: call.daemon.inbox.answer(params.id, params.decision).await? })
}
