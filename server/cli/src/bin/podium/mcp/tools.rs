//! What an agent can do.

use std::sync::Arc;

use podium_protocol::{
    ArtifactGet, ArtifactGetParams, ArtifactHits, ArtifactPut, ArtifactPutParams, ArtifactSearch,
    ArtifactSearchParams, ArtifactStored, ClaimAcquire, ClaimAcquireParams, ClaimAcquired, ClaimRelease,
    ClaimReleaseParams, ClaimReleased, ClaimVerified, ClaimVerify, ClaimVerifyParams, InboxAnswered,
    InboxAsk, InboxAskParams, InboxListMethod, InboxListParams, ListScope, SessionHits, SessionItem,
    SessionList, SessionListMethod, SessionListParams, SessionSearch, SessionSearchParams, SessionShow,
    SessionShowParams, SessionStatus, WireError, WorktreeConflicts, WorktreeConflictsMethod,
    WorktreeConflictsParams, WorktreeCreate, WorktreeCreateParams, WorktreeCreated, WorktreeList,
    WorktreeListMethod, WorktreeListParams, WorktreeStatus, WorktreeStatusMethod, WorktreeStatusParams,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::tool::{Asking, Kind, ToolSpec};

/// Text of an artifact in one answer, in bytes.
const TEXT: usize = 64 * 1024;
/// Items of a transcript in one answer.
const ITEMS: usize = 100;
/// Longest wait, in seconds.
const LONGEST_WAIT: u32 = 3_600;

type Answer<T> = Result<T, WireError>;

pub(super) fn all() -> Vec<ToolSpec> {
    use Kind::{Adds, Reads};
    vec![
        ToolSpec::new(
            "worktree_list",
            "Worktrees",
            "Worktrees with branch, owner, changes and conflicts.",
            Reads,
            list,
        ),
        ToolSpec::new(
            "worktree_status",
            "Status of a worktree",
            "One worktree with its changed paths, by a fresh look at the disk.",
            Reads,
            status,
        ),
        ToolSpec::new(
            "worktree_create",
            "Make a worktree",
            "Makes a worktree with a branch of its own, or enters the one of that name, and claims it for you.",
            Adds,
            create,
        ),
        ToolSpec::new(
            "claim",
            "Claim a worktree",
            "Makes you the only one who works in a worktree. Where somebody else has it, waits so long as you say.",
            Adds,
            claim,
        ),
        ToolSpec::new(
            "release",
            "Release a worktree",
            "Gives a worktree back that you claimed.",
            Adds,
            release,
        ),
        ToolSpec::new(
            "verify",
            "Whose a worktree is",
            "Whether a worktree is yours, free, or somebody else's.",
            Reads,
            verify,
        ),
        ToolSpec::new(
            "conflicts",
            "Conflicts",
            "Worktrees whose work, uncommitted changes included, would not merge; with files and lines.",
            Reads,
            conflicts,
        ),
        ToolSpec::new(
            "artifact_search",
            "Search artifacts",
            "Full-text search over stored answers, reports and outputs.",
            Reads,
            search_artifacts,
        ),
        ToolSpec::new(
            "artifact_get",
            "Read an artifact",
            "An artifact's text, in parts where it is long.",
            Reads,
            artifact,
        ),
        ToolSpec::new(
            "artifact_put",
            "Store an artifact",
            "Keeps a text for others to find. Known secrets in it are redacted.",
            Adds,
            put,
        ),
        ToolSpec::new("session_list", "Sessions", "AI sessions, newest first.", Reads, sessions),
        ToolSpec::new(
            "session_show",
            "A session",
            "A session's transcript, in parts where it is long.",
            Reads,
            session,
        ),
        ToolSpec::new(
            "session_search",
            "Search sessions",
            "Sessions whose transcript holds these words.",
            Reads,
            search,
        ),
        ToolSpec::new(
            "ask_person",
            "Ask the person",
            "Puts a question to the person and, if you say how long, waits for the answer: allow or deny.",
            Adds,
            ask,
        ),
    ]
}

/// Which repository.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InRepo {
    /// Any path inside the repository. Default: the one this server was started in.
    repo: Option<String>,
}

async fn list(desk: Arc<Desk>, input: InRepo, _: Asking) -> Answer<WorktreeList> {
    let params = WorktreeListParams { at: desk.place(input.repo), all: false };
    desk.client.call::<WorktreeListMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OneWorktree {
    /// Name of the worktree. Default: the one that `repo` lies in.
    worktree: Option<String>,
    /// Any path inside the repository. Default: the one this server was started in.
    repo: Option<String>,
}

async fn status(desk: Arc<Desk>, input: OneWorktree, _: Asking) -> Answer<WorktreeStatus> {
    let params = WorktreeStatusParams { at: desk.place(input.repo), name: input.worktree, short: false };
    desk.client.call::<WorktreeStatusMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    /// feat, fix, aiops, devops, or a type of the user's own.
    #[serde(rename = "type")]
    kind: String,
    /// Becomes `<type>-<name>`.
    name: String,
    /// Revision to start from. Default: trunk.
    from: Option<String>,
    repo: Option<String>,
}

async fn create(desk: Arc<Desk>, input: Create, _: Asking) -> Answer<WorktreeCreated> {
    let params = WorktreeCreateParams {
        at: desk.place(input.repo),
        kind: Some(input.kind),
        name: Some(input.name),
        agent_id: desk.agent.clone(),
        from: input.from,
        pid: desk.pid(),
        with_submodules: false,
    };
    let made = desk.client.call::<WorktreeCreate>(params).await?;
    if let Some(claim) = &made.worktree.claim {
        desk.claimed(&made.worktree.path, claim.token);
    }
    Ok(made)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Claim {
    worktree: Option<String>,
    /// Seconds to wait where somebody else has it, first come first served; at most 3,600. Default: none.
    wait: Option<u32>,
    repo: Option<String>,
}

async fn claim(desk: Arc<Desk>, input: Claim, asking: Asking) -> Answer<ClaimAcquired> {
    let wait = input.wait.map(|seconds| seconds.min(LONGEST_WAIT));
    let params = ClaimAcquireParams {
        at: desk.place(input.repo),
        worktree: input.worktree,
        agent_id: desk.agent.clone(),
        pid: desk.pid(),
        wait,
        ..ClaimAcquireParams::default()
    };
    let call = desk.client.call::<ClaimAcquire>(params);
    let acquired = asking.while_waiting("waiting for the worktree", wait, call).await?;
    desk.claimed(&acquired.path, acquired.token);
    Ok(acquired)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Release {
    worktree: Option<String>,
    /// Release although there are uncommitted changes.
    #[serde(default)]
    allow_dirty: bool,
    repo: Option<String>,
}

async fn release(desk: Arc<Desk>, input: Release, _: Asking) -> Answer<ClaimReleased> {
    let at = desk.place(input.repo);
    let short = WorktreeStatusParams { at: at.clone(), name: input.worktree.clone(), short: true };
    let path = desk.client.call::<WorktreeStatusMethod>(short).await?.worktree.path;
    let Some(token) = desk.token(&path) else {
        return Err(WireError::conflict("you have not claimed this worktree")
            .hint("what was claimed elsewhere is released there"));
    };
    let params = ClaimReleaseParams {
        at,
        worktree: input.worktree,
        agent_id: desk.agent.clone(),
        token: Some(token),
        allow_dirty: input.allow_dirty,
        force: false,
    };
    let released = desk.client.call::<ClaimRelease>(params).await?;
    desk.released(&path);
    Ok(released)
}

async fn verify(desk: Arc<Desk>, input: OneWorktree, _: Asking) -> Answer<ClaimVerified> {
    let params = ClaimVerifyParams {
        at: desk.place(input.repo),
        worktree: input.worktree,
        agent_id: desk.agent.clone(),
        token: None,
    };
    desk.client.call::<ClaimVerify>(params).await
}

async fn conflicts(desk: Arc<Desk>, input: OneWorktree, _: Asking) -> Answer<WorktreeConflicts> {
    let params = WorktreeConflictsParams { at: desk.place(input.repo), name: input.worktree };
    desk.client.call::<WorktreeConflictsMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Search {
    /// Words to look for.
    query: String,
    /// 1 to 50. Default: 10.
    limit: Option<u32>,
}

async fn search_artifacts(desk: Arc<Desk>, input: Search, _: Asking) -> Answer<ArtifactHits> {
    let limit = Some(input.limit.unwrap_or(10).clamp(1, 50));
    let params = ArtifactSearchParams { query: input.query, limit, ..ArtifactSearchParams::default() };
    desk.client.call::<ArtifactSearch>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Part {
    /// Id of the artifact.
    id: String,
    /// Byte to read from; `next` of the part before.
    #[serde(default)]
    offset: usize,
}

/// A part of an artifact's text.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactPart {
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
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn media_type(&self) -> &str {
        &self.media_type
    }

    pub(super) const fn next(&self) -> Option<usize> {
        self.next
    }
}

async fn artifact(desk: Arc<Desk>, input: Part, _: Asking) -> Answer<ArtifactPart> {
    part_of(&desk, input.id, input.offset).await
}

pub(super) async fn part_of(desk: &Desk, id: String, offset: usize) -> Answer<ArtifactPart> {
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
struct Put {
    title: String,
    /// note, report, log, ...
    kind: String,
    text: String,
}

async fn put(desk: Arc<Desk>, input: Put, _: Asking) -> Answer<ArtifactStored> {
    let params =
        ArtifactPutParams { title: input.title, kind: input.kind, text: input.text, ..Default::default() };
    desk.client.call::<ArtifactPut>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sessions {
    status: Option<SessionStatus>,
    /// 1 to 100. Default: 20.
    limit: Option<u32>,
    repo: Option<String>,
}

async fn sessions(desk: Arc<Desk>, input: Sessions, _: Asking) -> Answer<SessionList> {
    let scope = ListScope { at: desk.place(input.repo), ..ListScope::default() };
    let limit = Some(input.limit.unwrap_or(20).clamp(1, 100));
    let params = SessionListParams { scope, status: input.status, limit, ..SessionListParams::default() };
    desk.client.call::<SessionListMethod>(params).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Transcript {
    /// Id of the session.
    id: String,
    /// Only items above this number; `next` of the part before.
    #[serde(default)]
    from_seq: u64,
}

/// A part of a transcript.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TranscriptPart {
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

async fn session(desk: Arc<Desk>, input: Transcript, _: Asking) -> Answer<TranscriptPart> {
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

async fn search(desk: Arc<Desk>, input: Search, _: Asking) -> Answer<SessionHits> {
    let limit = Some(input.limit.unwrap_or(10).clamp(1, 50));
    let scope = ListScope { all: true, ..ListScope::default() };
    desk.client.call::<SessionSearch>(SessionSearchParams { scope, query: input.query, limit }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Ask {
    /// At most 2,000 characters; to be answered with yes or no.
    question: String,
    /// Seconds to wait for the answer; at most 3,600. Default: none.
    wait: Option<u32>,
}

async fn ask(desk: Arc<Desk>, input: Ask, asking: Asking) -> Answer<InboxAnswered> {
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
