//! One sentence on what a command did, for a person who started it in an editor that shows no answers.

use podium_protocol::{
    ClaimAcquired, ClaimReleased, ClaimStanding, ClaimVerified, DaemonStatus, DoctorReport, InboxAnswered,
    InboxList, ModelChanged, ModelList, PartState, ProviderList, ReviewPushed, SessionCancelled,
    SessionForked, SessionList, SessionRewound, WorktreeConflicts, WorktreeCreated, WorktreeList,
    WorktreeMerged, WorktreeRemoved, WorktreeReviewed, WorktreeStatus, WorktreeUndone, count,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::to_lsp::to_holder;

/// Entries of a list in one message.
const MAX_LISTED: usize = 12;

/// `None` where the editor shows the outcome otherwise.
pub(crate) fn of(method: &str, answer: &Value) -> Option<String> {
    match method {
        "worktree/create" => read(answer).map(created),
        "worktree/review" => read(answer).map(|r: WorktreeReviewed| {
            let title = r.review.title.map(|title| format!(" ({title})")).unwrap_or_default();
            format!("{}{title} is at {}", r.worktree.name, r.worktree.path)
        }),
        "review/push" => read(answer).map(|p: ReviewPushed| {
            format!("{} pushed to {} of {}", count(u64::from(p.commits), "commit"), p.branch, p.to)
        }),
        "worktree/remove" => read(answer).map(|r: WorktreeRemoved| {
            format!("{} is removed; `podium.worktree.undo` brings it back", r.name)
        }),
        "worktree/merge" => read(answer).map(|m: WorktreeMerged| {
            format!("{} is merged into {}; `podium.worktree.undo` takes it back", m.name, m.trunk)
        }),
        "worktree/close" => read(answer).map(|r: WorktreeRemoved| format!("{} is closed", r.name)),
        "worktree/undo" => read(answer)
            .map(|u: WorktreeUndone| format!("{} is back at {}", u.worktree.name, u.worktree.path)),
        "worktree/list" => read(answer).map(worktrees),
        "worktree/status" => read(answer).map(status),
        "worktree/conflicts" => read(answer).map(conflicts),
        "claim/acquire" => {
            read(answer).map(|c: ClaimAcquired| format!("{} is held by {} now", c.worktree, c.agent_id))
        }
        "claim/release" => read(answer).map(|c: ClaimReleased| format!("{} is free now", c.worktree)),
        "claim/verify" => read(answer).map(verified),
        "session/cancel" => read(answer)
            .map(|s: SessionCancelled| format!("The session is {}", s.status.as_str().replace('_', " "))),
        "session/list" => read(answer).map(sessions),
        "session/rewind" => read(answer).map(|r: SessionRewound| {
            let kept = if r.kept.is_empty() {
                String::new()
            } else {
                format!(", {} left as they are", r.kept.len())
            };
            format!(
                "The session is taken back; {} changed{kept}",
                count(r.files_changed.len() as u64, "file")
            )
        }),
        "session/fork" => read(answer).map(|f: SessionForked| {
            let place = f.worktree.map(|name| format!(" in {name}")).unwrap_or_default();
            format!("The fork is {}{place}", f.id)
        }),
        "provider/list" => read(answer).map(providers),
        "model/list" => read(answer)
            .map(|l: ModelList| listed(l.models.iter().map(|m| format!("{}: {:?}", m.name, m.state)))),
        "model/fetch" | "model/verify" | "model/remove" => {
            read(answer).map(|m: ModelChanged| format!("{}: {:?}", m.model.name, m.model.state))
        }
        "inbox/list" => read(answer).map(inbox),
        "inbox/answer" => read(answer).map(|a: InboxAnswered| format!("Answered {}", a.item.agent_id)),
        "status" => read(answer).map(daemon),
        "doctor" => read(answer).map(doctor),
        _ => None,
    }
}

fn read<T: DeserializeOwned>(answer: &Value) -> Option<T> {
    serde_json::from_value(answer.clone()).ok()
}

fn listed(entries: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = entries.collect();
    match all.len() {
        0 => "There is none".to_owned(),
        n if n > MAX_LISTED => format!("{}; and {} more", all[..MAX_LISTED].join("; "), n - MAX_LISTED),
        _ => all.join("; "),
    }
}

fn created(answer: WorktreeCreated) -> String {
    let what = if answer.created { "made" } else { "there already" };
    let notes: String = answer.notes.iter().map(|note| format!("; {note}")).collect();
    format!("{} is {what}: {}{notes}", answer.worktree.name, answer.worktree.path)
}

fn worktrees(answer: WorktreeList) -> String {
    listed(answer.worktrees.iter().map(|tree| {
        let holder = tree.claim.as_ref().map_or_else(|| "free".to_owned(), to_holder);
        format!("{}: {holder}", tree.name)
    }))
}

fn status(answer: WorktreeStatus) -> String {
    let tree = answer.worktree;
    let holder = tree.claim.as_ref().map_or_else(|| "free".to_owned(), to_holder);
    format!("{}: {holder}, {} changed paths, at {}", tree.name, answer.changed.len(), tree.path)
}

fn conflicts(answer: WorktreeConflicts) -> String {
    if answer.pairs.is_empty() {
        return "All work fits together".to_owned();
    }
    listed(answer.pairs.iter().map(|pair| {
        let files: Vec<&str> = pair.files.iter().take(3).map(|file| file.path.as_str()).collect();
        let more = if pair.files.len() > files.len() { ", ..." } else { "" };
        format!("{} and {}: {}{more}", pair.a, pair.b, files.join(", "))
    }))
}

fn verified(answer: ClaimVerified) -> String {
    let holder = answer.claim.as_ref().map(to_holder).unwrap_or_default();
    match answer.standing {
        ClaimStanding::Free => format!("{} is free", answer.worktree),
        ClaimStanding::Mine => format!("{} is yours", answer.worktree),
        ClaimStanding::Stale => format!("{} was taken over in the meantime", answer.worktree),
        ClaimStanding::Other => format!("{} is held by {holder}", answer.worktree),
    }
}

fn sessions(answer: SessionList) -> String {
    listed(answer.sessions.iter().map(|s| format!("{} ({})", s.title, s.status.as_str())))
}

fn providers(answer: ProviderList) -> String {
    listed(answer.providers.iter().map(|p| {
        let usable = if p.usable { "usable" } else { "not usable" };
        format!("{}: {usable}, {}", p.name, p.why)
    }))
}

fn inbox(answer: InboxList) -> String {
    match answer.items.len() {
        0 => "No agent waits for an answer".to_owned(),
        _ => listed(answer.items.iter().map(|item| format!("{} asks: {}", item.agent_id, item.question))),
    }
}

fn daemon(answer: DaemonStatus) -> String {
    format!(
        "The daemon {} (process {}) runs {} in {}",
        answer.version,
        answer.pid,
        count(u64::from(answer.sessions_running), "session"),
        count(u64::from(answer.worktrees), "worktree")
    )
}

fn doctor(answer: DoctorReport) -> String {
    let bad = answer.parts.iter().filter(|p| matches!(p.state, PartState::Degraded | PartState::Broken));
    let bad: Vec<String> = bad.map(|p| format!("{}: {}. {}", p.name, p.message, p.hint)).collect();
    if bad.is_empty() { "All is well".to_owned() } else { listed(bad.into_iter()) }
}
