//! Questions to the person.

use std::sync::Arc;

use podium_protocol::{InboxAnswered, InboxAsk, InboxAskParams, InboxListMethod, InboxListParams};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::desk::Desk;
use super::super::tool::Asking;
use super::{Answer, LONGEST_WAIT};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ask {
    /// At most 2,000 characters; to be answered with yes or no.
    question: String,
    /// Seconds to wait for the answer; at most 3,600. Default: none.
    wait: Option<u32>,
}

pub(super) async fn ask(desk: Arc<Desk>, input: Ask, asking: Asking) -> Answer<InboxAnswered> {
    // Before the question is there, so that no answer is missed.
    let mut answers = desk.client.subscribe(None, vec!["inbox.answered".to_owned()]).await?;
    let params = InboxAskParams { question: input.question, agent_id: desk.agent.clone() };
    let asked = desk.client.call::<InboxAsk>(params).await?;
    let Some(wait) = input.wait.map(|seconds| seconds.min(LONGEST_WAIT)) else { return Ok(asked) };
    let id = asked.item.id.clone();
    let answered = async {
        while let Some(event) = answers.next().await {
            if event.data["id"] == id.as_str() {
                break;
            }
        }
    };
    let patience = std::time::Duration::from_secs(wait.into());
    let waited = tokio::time::timeout(patience, answered);
    let _ = asking.while_waiting("waiting for the person", Some(wait), waited).await;
    let all = desk.client.call::<InboxListMethod>(InboxListParams { all: true }).await?;
    let item = all.items.into_iter().find(|item| item.id == asked.item.id);
    Ok(item.map_or(asked, |item| InboxAnswered { item }))
}
