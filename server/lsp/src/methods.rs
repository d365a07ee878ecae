//! What the language server knows of the protocol's methods beyond their table: it only forwards.

use podium_protocol::{Exposure, METHODS, MethodInfo};
use serde_json::{Map, Value};

use crate::state::{State, lock};

/// Methods that change nothing. They are dropped when the client cancels, and never start a stopped daemon.
const READS: &[&str] = &[
    "status",
    "doctor",
    "config/get",
    "repo/list",
    "worktree/list",
    "worktree/status",
    "worktree/switch",
    "worktree/locate",
    "worktree/env",
    "hook/list",
    "worktree/du",
    "worktree/conflicts",
    "sync/backups",
    "undo/list",
    "repo/doctor",
    "type/list",
    "claim/verify",
    "session/list",
    "session/search",
    "session/outcome",
    "session/show",
    "session/usage",
    "session/checkpoints",
    "session/export",
    "session/diff",
    "provider/list",
    "artifact/search",
    "artifact/list",
    "artifact/get",
    "model/list",
    "pit/runs",
    "pit/show",
    "pit/logs",
    "pit/metrics",
    "pool/list",
    "events/read",
    "inbox/list",
];

/// Methods whose parameters name a repository by `repo` or `uri`. `repo/forget` is left out: what it takes back is
/// named, never guessed.
const IN_A_REPO: &[&str] = &[
    "repo/register",
    "worktree/create",
    "worktree/list",
    "worktree/status",
    "worktree/switch",
    "worktree/remove",
    "worktree/undo",
    "worktree/review",
    "review/suggestions",
    "review/push",
    "worktree/merge",
    "worktree/close",
    "undo/list",
    "worktree/prune",
    "repo/repair",
    "repo/reconcile",
    "repo/doctor",
    "worktree/du",
    "worktree/locate",
    "worktree/env",
    "worktree/conflicts",
    "sync/run",
    "sync/backups",
    "guard/run",
    "worktree/submodules",
    "hook/list",
    "hook/approve",
    "claim/acquire",
    "claim/release",
    "claim/verify",
    "claim/heartbeat",
    "session/start",
    "session/run",
    "session/resume",
    "melody/run",
];

/// Lists over repositories: those of the window's folders, where the request names none.
const OVER_REPOS: &[&str] = &["session/list", "session/search", "artifact/list"];

/// Methods in an agent's name.
const FOR_AN_AGENT: &[&str] = &[
    "worktree/create",
    "worktree/review",
    "worktree/merge",
    "worktree/close",
    "worktree/remove",
    "claim/acquire",
    "claim/release",
    "claim/verify",
    "session/start",
    "session/run",
    "inbox/ask",
];

pub(crate) fn is_read(method: &str) -> bool {
    READS.contains(&method)
}

/// Methods that an editor reaches at all.
pub(crate) fn exposed() -> impl Iterator<Item = &'static MethodInfo> {
    METHODS.iter().filter(|m| m.exposure != Exposure::Internal)
}

/// Methods that are commands too.
pub(crate) fn commands() -> impl Iterator<Item = &'static MethodInfo> {
    METHODS.iter().filter(|m| m.exposure == Exposure::Command)
}

/// Fills in what a request leaves open: the repository of what the person works on, and who calls.
pub(crate) fn fill(state: &State, method: &str, params: &mut Map<String, Value>, current: Option<String>) {
    let absent = |params: &Map<String, Value>, name: &str| params.get(name).is_none_or(Value::is_null);
    let named = ["repo", "repoBytes", "uri"].iter().any(|name| !absent(params, name));
    if IN_A_REPO.contains(&method) && !named && params.get("all") != Some(&Value::Bool(true)) {
        let place = params.get("context").and_then(|c| c["uri"].as_str()).map(str::to_owned);
        if let Some(uri) = place.or(current) {
            params.insert("uri".to_owned(), Value::String(uri));
        }
    }
    if OVER_REPOS.contains(&method) && !named && absent(params, "uris") {
        params.insert("uris".to_owned(), lock(&state.folders).clone().into());
    }
    if let (true, Some(agent)) =
        (FOR_AN_AGENT.contains(&method) && absent(params, "agentId"), &state.agent_id)
    {
        params.insert("agentId".to_owned(), Value::String(agent.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::method_info;

    #[test]
    fn every_name_is_a_method() {
        for name in READS.iter().chain(IN_A_REPO).chain(OVER_REPOS).chain(FOR_AN_AGENT) {
            assert!(method_info(name).is_some(), "{name}");
        }
    }
}
