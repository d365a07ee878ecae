//! Sessions.

use std::sync::Arc;

use podium_protocol::{
    ListScope, SessionHits, SessionItem, SessionList, SessionListMethod, SessionListParams, SessionSearch,
    SessionSearchParams, SessionShow, SessionShowParams, SessionStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::desk::Desk;
use super::super::tool::Asking;
use super::{Answer, Search, TEXT};

/// Items of a transcript in one answer.
const ITEMS: usize = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sessions {
    status: Option<SessionStatus>,
    /// 1 to 100. Default: 20.
    limit: Option<u32>,
    repo: Option<String>,
}

pub(super) async fn sessions(desk: Arc<Desk>, input: Sessions, _: Asking) -> Answer<SessionList> {
    let scope = ListScope { at: desk.place(input.repo), ..ListScope::default() };
    let limit = Some(input.limit.unwrap_or(20).clamp(1, 100));
    let params = SessionListParams { scope, status: input.status, limit, ..SessionListParams::default() };
    desk.client.call::<SessionListMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Transcript {
    /// Id of the session.
    id: String,
    /// Only items above this number; `next` of the part before.
    #[serde(default)]
    from_seq: u64,
}

/// A part of a transcript.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TranscriptPart {
    id: String,
    title: String,
    provider: String,
    status: SessionStatus,
    worktree: Option<String>,
    items: Vec<SessionItem>,
    /// `fromSeq` of the next part; absent behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

pub(super) async fn session(desk: Arc<Desk>, input: Transcript, _: Asking) -> Answer<TranscriptPart> {
    let params = SessionShowParams { id: Some(input.id), from_seq: Some(input.from_seq) };
    let shown = desk.client.call::<SessionShow>(params).await?;
    let mut room = 2 * TEXT;
    let mut items = Vec::new();
    for mut item in shown.items.into_iter().take(ITEMS) {
        let size = item.text.len() + item.data.as_ref().map_or(0, |data| data.to_string().len());
        if size > TEXT {
            item.text.truncate(item.text.floor_char_boundary(TEXT));
            item.data = None;
        }
        if size.min(TEXT) > room && !items.is_empty() {
            break;
        }
        room = room.saturating_sub(size);
        items.push(item);
    }
    let last = items.last().map(|item| item.seq);
    let session = shown.session;
    Ok(TranscriptPart {
        id: session.id,
        title: session.title,
        provider: session.provider,
        status: session.status,
        worktree: session.worktree,
        next: last.filter(|last| *last < session.last_seq),
        items,
    })
}

pub(super) async fn search(desk: Arc<Desk>, input: Search, _: Asking) -> Answer<SessionHits> {
    let limit = Some(input.limit.unwrap_or(10).clamp(1, 50));
    let scope = ListScope { all: true, ..ListScope::default() };
    desk.client.call::<SessionSearch>(SessionSearchParams { scope, query: input.query, limit }).await
}
