//! What an agent can do.

mod artifacts;
mod people;
mod sessions;
mod worktrees;

use podium_protocol::WireError;
use schemars::JsonSchema;
use serde::Deserialize;

use super::tool::{Kind, ToolSpec};

pub(super) use artifacts::part_of;

/// Text of an artifact in one answer, in bytes.
const TEXT: usize = 64 * 1024;
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
            worktrees::list,
        ),
        ToolSpec::new(
            "worktree_status",
            "Status of a worktree",
            "One worktree with its changed paths, by a fresh look at the disk.",
            Reads,
            worktrees::status,
        ),
        ToolSpec::new(
            "worktree_create",
            "Make a worktree",
            "Makes a worktree with a branch of its own, or enters the one of that name, and claims it for you.",
            Adds,
            worktrees::create,
        ),
        ToolSpec::new(
            "claim",
            "Claim a worktree",
            "Makes you the only one who works in a worktree. Where somebody else has it, waits so long as you say.",
            Adds,
            worktrees::claim,
        ),
        ToolSpec::new(
            "release",
            "Release a worktree",
            "Gives a worktree back that you claimed.",
            Adds,
            worktrees::release,
        ),
        ToolSpec::new(
            "verify",
            "Whose a worktree is",
            "Whether a worktree is yours, free, or somebody else's.",
            Reads,
            worktrees::verify,
        ),
        ToolSpec::new(
            "conflicts",
            "Conflicts",
            "Worktrees whose work, uncommitted changes included, would not merge; with files and lines.",
            Reads,
            worktrees::conflicts,
        ),
        ToolSpec::new(
            "artifact_search",
            "Search artifacts",
            "Full-text search over stored answers, reports and outputs.",
            Reads,
            artifacts::search,
        ),
        ToolSpec::new(
            "artifact_get",
            "Read an artifact",
            "An artifact's text, in parts where it is long.",
            Reads,
            artifacts::artifact,
        ),
        ToolSpec::new(
            "artifact_put",
            "Store an artifact",
            "Keeps a text for others to find. Known secrets in it are redacted.",
            Adds,
            artifacts::put,
        ),
        ToolSpec::new("session_list", "Sessions", "AI sessions, newest first.", Reads, sessions::sessions),
        ToolSpec::new(
            "session_show",
            "A session",
            "A session's transcript, in parts where it is long.",
            Reads,
            sessions::session,
        ),
        ToolSpec::new(
            "session_search",
            "Search sessions",
            "Sessions whose transcript holds these words.",
            Reads,
            sessions::search,
        ),
        ToolSpec::new(
            "ask_person",
            "Ask the person",
            "Puts a question to the person and, if you say how long, waits for the answer: allow or deny.",
            Adds,
            people::ask,
        ),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Search {
    /// Words to look for.
    query: String,
    /// 1 to 50. Default: 10.
    limit: Option<u32>,
}
