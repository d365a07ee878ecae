//! Artifacts.

use std::sync::Arc;

use podium_protocol::{
    ArtifactGet, ArtifactGetParams, ArtifactHits, ArtifactPut, ArtifactPutParams, ArtifactSearch,
    ArtifactSearchParams, ArtifactStored, WireError,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::desk::Desk;
use super::super::tool::Asking;
use super::{Answer, Search, TEXT};

pub(super) async fn search(desk: Arc<Desk>, input: Search, _: Asking) -> Answer<ArtifactHits> {
    let limit = Some(input.limit.unwrap_or(10).clamp(1, 50));
    let params = ArtifactSearchParams { query: input.query, limit, ..ArtifactSearchParams::default() };
    desk.client.call::<ArtifactSearch>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Part {
    /// Id of the artifact.
    id: String,
    /// Byte to read from; `next` of the part before.
    #[serde(default)]
    offset: usize,
}

/// A part of an artifact's text.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct ArtifactPart {
    id: String,
    title: String,
    kind: String,
    media_type: String,
    bytes: u64,
    text: String,
    /// Where the next part begins; absent behind the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<usize>,
}

impl ArtifactPart {
    pub(in super::super) fn text(&self) -> &str {
        &self.text
    }

    pub(in super::super) fn media_type(&self) -> &str {
        &self.media_type
    }

    pub(in super::super) const fn next(&self) -> Option<usize> {
        self.next
    }
}

pub(super) async fn artifact(desk: Arc<Desk>, input: Part, _: Asking) -> Answer<ArtifactPart> {
    part_of(&desk, input.id, input.offset).await
}

pub(in super::super) async fn part_of(desk: &Desk, id: String, offset: usize) -> Answer<ArtifactPart> {
    let content = desk.client.call::<ArtifactGet>(ArtifactGetParams { id }).await?;
    let Some(whole) = content.text else {
        return Err(WireError::user("this artifact is no text, or too long to be sent")
            .hint(format!("its file is {}", content.path)));
    };
    let from = whole.floor_char_boundary(offset);
    let to = whole.floor_char_boundary(from.saturating_add(TEXT));
    let artifact = content.artifact;
    Ok(ArtifactPart {
        id: artifact.id,
        title: artifact.title,
        kind: artifact.kind,
        media_type: artifact.media_type,
        bytes: artifact.bytes,
        text: whole[from..to].to_owned(),
        next: (to < whole.len()).then_some(to),
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Put {
    title: String,
    /// One of: code, docs, tests, config, log, report.
    kind: String,
    text: String,
}

pub(super) async fn put(desk: Arc<Desk>, input: Put, _: Asking) -> Answer<ArtifactStored> {
    let params =
        ArtifactPutParams { title: input.title, kind: input.kind, text: input.text, ..Default::default() };
    desk.client.call::<ArtifactPut>(params).await
}
