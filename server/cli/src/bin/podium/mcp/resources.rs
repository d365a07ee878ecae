//! What an agent can read without a tool: how things stand.

use podium_protocol::{
    ArtifactList, ArtifactListMethod, ArtifactListParams, ClaimInfo, ListScope, SessionListMethod,
    SessionListParams, WireError, Worktree, WorktreeConflictsMethod, WorktreeConflictsParams,
    WorktreeListMethod, WorktreeListParams,
};
use rmcp::model::{Resource, ResourceContents, ResourceTemplate};
use serde_json::{Value, json};

use super::desk::Desk;
use super::tools;

const JSON: &str = "application/json";
/// Scheme and place of an artifact.
const ARTIFACT: &str = "podium://artifact/";
/// Artifacts and sessions that are named.
const NEWEST: u32 = 50;

/// Address, name, what it is, and the events that change it.
pub(super) const ALL: &[(&str, &str, &str, &[&str])] = &[
    ("podium://worktrees", "worktrees", "Worktrees with branch, owner and changes", &["worktree.", "repo."]),
    (
        "podium://claims",
        "claims",
        "Who holds which worktree",
        &["worktree.claim", "worktree.released", "claim."],
    ),
    ("podium://conflicts", "conflicts", "Worktrees whose work would not merge", &["worktree.conflict"]),
    ("podium://artifacts", "artifacts", "The newest artifacts", &["artifact."]),
    (
        "podium://context",
        "context",
        "Who you are here, what you hold, and who else is at work",
        &["worktree.claim", "worktree.released", "worktree.created", "worktree.removed", "session.", "task."],
    ),
];

pub(super) fn list() -> Vec<Resource> {
    let resource = |(uri, name, about, _): &(&'static str, &'static str, &'static str, &[&str])| {
        Resource::new(*uri, *name).with_description(*about).with_mime_type(JSON)
    };
    ALL.iter().map(resource).collect()
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(format!("{ARTIFACT}{{id}}"), "artifact")
            .with_description("The text of an artifact; its beginning, where it is long")
            .with_mime_type("text/plain"),
    ]
}

/// Whether there is such a resource to subscribe to.
pub(super) fn is_known(uri: &str) -> bool {
    ALL.iter().any(|(known, ..)| *known == uri) || uri.starts_with(ARTIFACT)
}

pub(super) async fn read(desk: &Desk, uri: &str) -> Result<ResourceContents, WireError> {
    if let Some(id) = uri.strip_prefix(ARTIFACT) {
        return artifact(desk, uri, id).await;
    }
    let value = match uri {
        "podium://worktrees" => json!({ "worktrees": worktrees(desk).await? }),
        "podium://claims" => json!({ "claims": claims(desk).await? }),
        "podium://conflicts" => conflicts(desk).await?,
        "podium://artifacts" => serde_json::to_value(artifacts(desk).await?).unwrap_or_default(),
        "podium://context" => context(desk).await?,
        _ => return Err(WireError::not_found(format!("there is no resource {uri}"))),
    };
    Ok(typed(ResourceContents::text(value.to_string(), uri), JSON))
}

fn typed(contents: ResourceContents, media_type: &str) -> ResourceContents {
    match contents {
        ResourceContents::TextResourceContents { uri, text, meta, .. } => {
            ResourceContents::TextResourceContents { uri, text, meta, mime_type: Some(media_type.to_owned()) }
        }
        other => other,
    }
}

async fn artifact(desk: &Desk, uri: &str, id: &str) -> Result<ResourceContents, WireError> {
    let part = tools::part_of(desk, id.to_owned(), 0).await?;
    let rest = part.next().map(|next| format!("\n[it goes on: artifact_get with offset {next}]"));
    let text = format!("{}{}", part.text(), rest.unwrap_or_default());
    Ok(typed(ResourceContents::text(text, uri), part.media_type()))
}

async fn worktrees(desk: &Desk) -> Result<Vec<Worktree>, WireError> {
    let params = WorktreeListParams { at: desk.place(None), all: false };
    Ok(desk.client.call::<WorktreeListMethod>(params).await?.worktrees)
}

async fn claims(desk: &Desk) -> Result<Vec<Value>, WireError> {
    let claim = |worktree: &Worktree| {
        let ClaimInfo { agent_id, host, since, alive, session, .. } = worktree.claim.clone()?;
        Some(json!({
            "worktree": worktree.name, "path": worktree.path, "agentId": agent_id, "host": host, "since": since,
            "alive": alive, "session": session, "mine": is_mine(desk, worktree),
        }))
    };
    Ok(worktrees(desk).await?.iter().filter_map(claim).collect())
}

fn is_mine(desk: &Desk, worktree: &Worktree) -> bool {
    let owner = worktree.claim.as_ref().map(|claim| &claim.agent_id);
    owner.is_some() && owner == desk.agent.as_ref()
}

async fn conflicts(desk: &Desk) -> Result<Value, WireError> {
    let params = WorktreeConflictsParams { at: desk.place(None), name: None };
    let found = desk.client.call::<WorktreeConflictsMethod>(params).await?;
    serde_json::to_value(found).map_err(|error| WireError::internal(error.to_string()))
}

async fn artifacts(desk: &Desk) -> Result<ArtifactList, WireError> {
    let scope = ListScope { at: desk.place(None), ..ListScope::default() };
    let params = ArtifactListParams { scope, limit: Some(NEWEST), ..ArtifactListParams::default() };
    desk.client.call::<ArtifactListMethod>(params).await
}

async fn context(desk: &Desk) -> Result<Value, WireError> {
    let worktrees = worktrees(desk).await?;
    let name = |worktree: &Worktree| json!({ "worktree": worktree.name, "path": worktree.path, "branch": worktree.branch });
    let mine: Vec<Value> = worktrees.iter().filter(|worktree| is_mine(desk, worktree)).map(name).collect();
    let repo = worktrees.first().map(|worktree| worktree.repo.root.clone());
    let scope = ListScope { at: desk.place(None), ..ListScope::default() };
    let params = SessionListParams { scope, limit: Some(NEWEST), ..SessionListParams::default() };
    let sessions = desk.client.call::<SessionListMethod>(params).await?.sessions;
    let at_work: Vec<Value> = sessions
        .iter()
        .filter(|session| !session.status.is_over())
        .map(|session| {
            json!({
                "session": session.id, "agentId": session.agent_id, "worktree": session.worktree,
                "title": session.title,
            })
        })
        .collect();
    Ok(json!({ "agentId": desk.agent, "repository": repo, "claims": mine, "atWork": at_work }))
}
