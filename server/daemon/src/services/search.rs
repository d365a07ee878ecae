//! `session/search`.

use podium_protocol::{SessionHit, SessionHits, SessionInfo, SessionSearchParams, WireError};

use super::scope;
use crate::call::Call;

pub(crate) async fn sessions(call: Call, params: SessionSearchParams) -> Result<SessionHits, WireError> {
    let repos = scope::repos(&call, &params.scope).await?;
    let own = call.agent().map(|(session, _)| session.to_owned());
    let found = call.daemon.sessions.search(&params.query, params.limit, repos, own).await?;
    let names = scope::names(&call).await?;
    let named = |(hit, repo): (SessionHit, Option<String>)| {
        let repo = repo.and_then(|id| names.get(&id).cloned());
        SessionHit { session: SessionInfo { repo, ..hit.session }, ..hit }
    };
    Ok(SessionHits { sessions: found.into_iter().map(named).collect() })
}
