//! Instruments: a session of any provider, started once for each attempt and taken up again after a restart.

use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use podium_protocol::{ItemKind, RepoSelector, SessionInfo, SessionStatus};
use podium_sessions::{Attachment, Next, SessionError, Start, WorktreeRef};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::bench::unavailable;
use super::{Arguments, Bench, Outputs};

/// Outputs `text`, `session` and `usage`. The id of the session follows from the action: an attempt that was cut off finds
/// its session and goes on with it.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let id = super::session_of_key(call.key.as_str());
    let info = match bench.daemon().sessions.info(&id).await {
        Ok(info) => info,
        Err(SessionError::NotFound(_)) => begin(bench, call, &id).await?,
        Err(error) => return Err(unavailable(error)),
    };
    let info = to_its_end(bench, call, info).await?;
    match info.status {
        SessionStatus::Completed => {}
        SessionStatus::Cancelled => {
            return Err(NodeError::new(FailureKind::Cancelled, "its session was cancelled"));
        }
        status => {
            let why = info.reason.unwrap_or_default();
            let message = format!("session {id} {}: {why}", status.as_str().replace('_', " "));
            return Err(NodeError::new(FailureKind::Failed, message));
        }
    }
    let text =
        bench.keep(&info.title, "text/markdown", "docs", Value::String(answer(bench, &id).await?)).await?;
    Ok(Outputs::from_iter([
        ("text".to_owned(), text),
        ("session".to_owned(), json!(id)),
        ("usage".to_owned(), json!(info.usage)),
    ]))
}

async fn begin(bench: &Bench, call: &NodeCall, id: &str) -> Result<SessionInfo, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let prompt = match args.optional_text("system")? {
        Some(system) => format!("{system}\n\n{}", args.text("prompt")?),
        None => args.text("prompt")?,
    };
    bench.permit(call, &format!("asks {}", call.work.uses), Some(&prompt)).await?;
    let worktree = place(bench, args.optional_text("worktree")?).await?;
    let start = Start {
        id: Some(id.to_owned()),
        retry: true,
        provider: Some(call.work.uses.to_string()),
        prompt,
        model: args.optional_text("model")?,
        repo: worktree.as_ref().map(|worktree| worktree.repo.clone()),
        worktree,
        seed: args.number("seed")?.map(|seed| seed as u64),
        max_tokens: args.number("max_tokens")?.and_then(|tokens| u32::try_from(tokens).ok()),
        temperature: args.decimal("temperature")?,
        env: bench.env(),
        ..Start::default()
    };
    let sessions = &bench.daemon().sessions;
    sessions.start(start).await.map_err(failed)?;
    bench.daemon().activity.notify_waiters();
    bench.log(call, "note", &format!("session {id}")).await;
    sessions.info(id).await.map_err(unavailable)
}

async fn place(bench: &Bench, named: Option<String>) -> Result<Option<WorktreeRef>, NodeError> {
    let Some(name) = named else { return Ok(bench.known().worktree.clone()) };
    let at = RepoSelector { repo: Some(bench.folder().to_string_lossy().into_owned()), ..Default::default() };
    let caller = podium_worktrees::Caller {
        agent: None,
        person: bench.known().starter.name.clone(),
        env: bench.env(),
        connection_pid: 0,
    };
    let found = bench.daemon().worktrees.resolve(&at, Some(&name), &caller).await;
    let found = found.map_err(|error| NodeError::new(FailureKind::BadInput, error.message))?;
    Ok(Some(WorktreeRef { id: found.id, repo: found.repo_id, name: found.name, path: found.path }))
}

/// A session that is parked waits with its node: for a client that brings the key it lacks, since after a restart
/// nobody has it any more, or for a person who goes on with the session.
async fn to_its_end(bench: &Bench, call: &NodeCall, mut info: SessionInfo) -> Result<SessionInfo, NodeError> {
    let (sessions, mut brought) = (&bench.daemon().sessions, bench.brought());
    let mut head = bench.daemon().store.watch_head();
    loop {
        brought.mark_unchanged();
        info = see_through(bench, call, info).await?;
        if info.status != SessionStatus::Parked {
            return Ok(info);
        }
        let why = info.reason.clone().unwrap_or_default();
        bench.log(call, "note", &format!("session {} waits: {why}", info.id)).await;
        while info.status == SessionStatus::Parked && !sessions.is_running(&info.id) {
            tokio::select! {
                _ = brought.changed() => break,
                _ = head.changed() => {}
                () = call.cancel.cancelled() => {
                    return Err(NodeError::new(FailureKind::Cancelled, "cancelled"));
                }
            }
            info = sessions.info(&info.id).await.map_err(unavailable)?;
        }
    }
}

/// Waits for the session's end. One that a restart interrupted goes on.
async fn see_through(bench: &Bench, call: &NodeCall, info: SessionInfo) -> Result<SessionInfo, NodeError> {
    let sessions = &bench.daemon().sessions;
    let id = info.id.clone();
    if matches!(info.status, SessionStatus::Interrupted | SessionStatus::Parked) && !sessions.is_running(&id)
    {
        sessions.go_on(&id, Next::default(), bench.env()).await.map_err(failed)?;
    }
    if let Attachment::Live(mut updates) = sessions.attach(&id) {
        loop {
            let update = tokio::select! {
                update = updates.recv() => update,
                () = call.cancel.cancelled() => {
                    let _ = sessions.cancel(&id).await;
                    return Err(NodeError::new(FailureKind::Cancelled, "cancelled"));
                }
            };
            match update {
                Ok(podium_sessions::Update::End(_)) | Err(RecvError::Closed) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
            }
        }
    }
    sessions.info(&id).await.map_err(unavailable)
}

/// What the model said: the text behind the last prompt and the last result of a tool.
async fn answer(bench: &Bench, id: &str) -> Result<String, NodeError> {
    let (mut text, mut from) = (String::new(), 0);
    loop {
        let (items, more) = bench.daemon().sessions.items(id, from).await.map_err(unavailable)?;
        for item in &items {
            match item.kind {
                ItemKind::Text => text.push_str(&item.text),
                ItemKind::Prompt | ItemKind::ToolResult => text.clear(),
                _ => {}
            }
            from = item.seq;
        }
        if !more || items.is_empty() {
            return Ok(text);
        }
    }
}

fn failed(error: SessionError) -> NodeError {
    let wire = podium_protocol::WireError::from(error);
    let kind = match wire.kind {
        podium_protocol::ErrorKind::User | podium_protocol::ErrorKind::NotFound => FailureKind::BadInput,
        podium_protocol::ErrorKind::Internal => FailureKind::Internal,
        _ => FailureKind::Unavailable,
    };
    NodeError::new(kind, wire.message)
}
