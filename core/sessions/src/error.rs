//! What can go wrong with sessions.

use podium_artifacts::ArtifactError;
use podium_protocol::{InboxDecision, SessionStatus, WireError};
use podium_store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no session `{0}`")]
    NotFound(String),
    #[error("there is no session to go on with here")]
    NothingToContinue,
    #[error("a session `{0}` exists already")]
    Exists(String),
    #[error("session `{0}` is running")]
    Running(String),
    #[error("session `{id}` is {}", .status.as_str())]
    Over { id: String, status: SessionStatus },
    #[error("session `{0}` was cancelled")]
    Cancelled(String),
    #[error("{0}")]
    Invalid(String),
    #[error("there is no provider `{name}`")]
    UnknownProvider { name: String, known: Vec<String> },
    #[error("provider `{provider}` has no model `{name}`")]
    UnknownModel { provider: &'static str, name: String, known: Vec<String> },
    #[error("no provider can be used: {}", .reasons.join("; "))]
    NoProvider { reasons: Vec<String>, hints: Vec<String> },
    #[error("there is no question `{0}` in the inbox")]
    NoQuestion(String),
    #[error("question `{id}` was answered already: {}{}", .decision.as_str(), said_by(.by))]
    Answered { id: String, decision: InboxDecision, by: String },
    #[error("question `{id}` was withdrawn: its session ended")]
    Withdrawn { id: String },
    #[error("there is no lasting answer `{0}`")]
    NoGrant(String),
    #[error("session `{session}` has no checkpoint `{id}`")]
    NoCheckpoint { session: String, id: String },
    #[error("session `{session}` has no turn {turn}")]
    NoTurn { session: String, turn: u64 },
    #[error("no files of a worktree are kept for session `{0}`")]
    NoFiles(String),
    #[error("the worktree of session `{0}` is gone")]
    NoTree(String),
    #[error("the worktree is on {now}, and was on {then}: its commits cannot go back")]
    OtherBranch { now: String, then: String },
    #[error("the session did not change `{0}`")]
    NoChange(String),
    #[error("the change of `{0}` has no such hunk")]
    NoHunk(String),
    #[error("`{0}` was changed since in that place")]
    ChangedSince(String),
    #[error("the work was cut off")]
    CutOff,
    /// Whether it is there, and what it is, cannot be said now.
    #[error(transparent)]
    Worktree(#[from] Box<WireError>),
    #[error(transparent)]
    Git(#[from] podium_git::GitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

fn of_git(error: &podium_git::GitError, message: String) -> WireError {
    use podium_git::ErrorKind as K;
    let wire = match error.kind() {
        K::User => WireError::user(message),
        K::NotFound => WireError::not_found(message),
        K::Conflict => WireError::conflict(message),
        K::Busy => WireError::busy(message),
        K::Unavailable => WireError::unavailable(message),
        K::Internal => WireError::internal(message),
    };
    error.hints().into_iter().fold(wire, WireError::hint)
}

fn said_by(by: &str) -> String {
    if by.is_empty() { String::new() } else { format!(" by {by}") }
}

impl From<SessionError> for WireError {
    fn from(error: SessionError) -> Self {
        let message = error.to_string();
        match error {
            SessionError::Store(error) => error.into(),
            SessionError::Artifact(error) => error.into(),
            SessionError::NotFound(_) => {
                Self::not_found(message).hint("`jelmore sessions list` shows what there is")
            }
            SessionError::NothingToContinue => Self::not_found(message)
                .hint("start one with `jelmore start --prompt \"...\"`")
                .hint("`jelmore sessions list` shows sessions of other worktrees"),
            SessionError::Exists(id) => Self::conflict(message)
                .hint(format!("go on with it: `jelmore sessions resume {id}`"))
                .hint("or leave out --session-id"),
            SessionError::Running(id) => Self::conflict(message).hint(format!(
                "follow it: `jelmore sessions resume {id}`, or end it: `jelmore sessions cancel {id}`"
            )),
            SessionError::Over { id, .. } => Self::conflict(message)
                .hint(format!("add a turn: `jelmore sessions resume {id} --prompt \"...\"`")),
            SessionError::Cancelled(id) => Self::conflict(message)
                .hint(format!("add a turn: `jelmore sessions resume {id} --prompt \"...\"`"))
                .hint(format!("finish what was cancelled: `jelmore sessions resume {id} --again`"))
                .hint(format!("read what it said: `jelmore sessions show {id}`")),
            SessionError::Invalid(_) => Self::usage(message),
            SessionError::UnknownProvider { known, .. } => {
                Self::not_found(message).hint(format!("providers: {}", known.join(", ")))
            }
            SessionError::UnknownModel { known, .. } => {
                Self::not_found(message).hint(format!("models: {}", known.join(", ")))
            }
            SessionError::NoProvider { hints, .. } => {
                let mut error = Self::unavailable(message);
                error.hints = hints;
                error
            }
            SessionError::NoQuestion(_) => {
                Self::not_found(message).hint("`jelmore inbox` lists the open ones")
            }
            SessionError::NoGrant(_) => {
                Self::not_found(message).hint("`jelmore inbox rules` lists what there is")
            }
            SessionError::Answered { .. } | SessionError::Withdrawn { .. } => Self::conflict(message),
            SessionError::NoCheckpoint { session, .. } => Self::not_found(message)
                .hint(format!("`jelmore sessions checkpoints {session}` lists what there is")),
            SessionError::NoTurn { session, .. } => {
                Self::not_found(message).hint(format!("read it: `jelmore sessions show {session}`"))
            }
            SessionError::NoFiles(_) | SessionError::NoTree(_) => Self::not_found(message),
            SessionError::NoChange(_) | SessionError::NoHunk(_) => Self::not_found(message),
            SessionError::OtherBranch { .. } => {
                Self::conflict(message).hint("leave out --commits: files come back on any branch")
            }
            SessionError::ChangedSince(_) => {
                Self::conflict(message).hint("look at the file: what was changed there since would be lost")
            }
            SessionError::CutOff => Self::internal(message),
            SessionError::Worktree(error) => *error,
            SessionError::Git(error) => of_git(&error, message),
        }
    }
}
