//! `inbox/*` and `permission/*`.

use podium_protocol::{
    InboxAnswerParams, InboxAnswered, InboxAskParams, InboxList, InboxListParams, InboxScope,
    PermissionForgetParams, PermissionForgotten, PermissionList, PermissionListParams, WireError,
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
    let (by, scope) = (call.acting(None)?, params.scope.unwrap_or(InboxScope::Once));
    Ok(InboxAnswered { item: call.daemon.inbox.answer(params.id, params.decision, scope, by).await? })
}

pub(crate) async fn permissions(
    call: Call,
    _params: PermissionListParams,
) -> Result<PermissionList, WireError> {
    Ok(PermissionList { permissions: call.daemon.inbox.grants().await? })
}

pub(crate) async fn forget(
    call: Call,
    params: PermissionForgetParams,
) -> Result<PermissionForgotten, WireError> {
    Ok(PermissionForgotten { permission: call.daemon.inbox.forget(params.id).await? })
}
