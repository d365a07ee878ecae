//! What the nodes of one run work with: a folder, variables, a log, and a person to ask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_artifacts::NewArtifact;
use podium_git::{GitEnv, Repo, WorktreeLocation};
use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use podium_protocol::InboxDecision;
use podium_secrets::Redactor;
use podium_sessions::{Env, Question, WorktreeRef};
use serde_json::Value;
use tokio::sync::watch;

use crate::pit::logs::Logs;
use crate::state::Daemon;

/// Largest value that travels as itself, in bytes of its text.
const INLINE: usize = 64 * 1024;
/// Beginning of a text that stands for one in the artifact store.
const ARTIFACT: &str = "podium:artifact/";
/// Beginnings of the names of variables that hold keys.
const KEYS: &[&str] = &["ANTHROPIC_", "OPENAI_", "GH_", "GITHUB_"];

/// Who started a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pit) struct Starter {
    /// `person:<user>@<host>` or the agent's id.
    pub(in crate::pit) name: String,
    /// The agent's session.
    pub(in crate::pit) session: Option<String>,
}

/// What is known of a run from its row.
#[derive(Debug, Clone)]
pub(in crate::pit) struct Known {
    pub(in crate::pit) run: String,
    pub(in crate::pit) number: i64,
    pub(in crate::pit) folder: PathBuf,
    pub(in crate::pit) worktree: Option<WorktreeRef>,
    pub(in crate::pit) starter: Starter,
}

pub(in crate::pit) struct Bench {
    daemon: Arc<Daemon>,
    known: Known,
    /// As they came with the newest request about the run.
    env: watch::Sender<Env>,
    logs: Logs,
}

impl Bench {
    pub(in crate::pit) fn new(daemon: Arc<Daemon>, known: Known, env: Env) -> Self {
        let logs = Logs::new(daemon.store.clone(), known.number);
        Self { daemon, known, env: watch::Sender::new(env), logs }
    }

    pub(super) fn daemon(&self) -> &Arc<Daemon> {
        &self.daemon
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    pub(super) fn folder(&self) -> &Path {
        &self.known.folder
    }

    pub(super) fn is_agents(&self) -> bool {
        self.known.starter.session.is_some()
    }

    /// A client brought its variables again: after a restart the keys are known only from it.
    pub(in crate::pit) fn set_env(&self, env: Env) {
        if !env.is_empty() {
            self.env.send_replace(env);
        }
    }

    pub(super) fn env(&self) -> Env {
        self.env.borrow().clone()
    }

    /// Wakes when a client brings variables.
    pub(super) fn brought(&self) -> watch::Receiver<Env> {
        self.env.subscribe()
    }

    /// What a command gets: no keys.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        without_keys(&self.env())
    }

    /// Keeps what a node said, redacted.
    pub(super) async fn log(&self, call: &NodeCall, stream: &'static str, text: &str) {
        if !text.is_empty() {
            let redacted = self.redactor().await.redact(text);
            self.logs.add(call.node.as_str(), call.attempt, stream, &redacted).await;
        }
    }

    async fn redactor(&self) -> Redactor {
        let (env, folder) = (self.env(), self.known.folder.clone());
        tokio::task::spawn_blocking(move || Redactor::for_session(&env, Some(&folder)))
            .await
            .unwrap_or_default()
    }

    /// A value as it travels: one that is large goes into the artifact store.
    pub(super) async fn keep(
        &self,
        title: &str,
        media_type: &str,
        kind: &str,
        value: Value,
    ) -> Result<Value, NodeError> {
        let Value::String(text) = &value else { return Ok(value) };
        if text.len() <= INLINE {
            return Ok(value);
        }
        let new = NewArtifact {
            title: title.chars().take(200).collect(),
            kind: kind.to_owned(),
            media_type: media_type.to_owned(),
            content: text.clone().into_bytes(),
            session: None,
            worktree: self.known.worktree.as_ref().map(|worktree| worktree.name.clone()),
        };
        let stored = self.daemon.artifacts.put(new).await.map_err(unavailable)?;
        Ok(Value::String(format!("{ARTIFACT}{}", stored.artifact.id)))
    }

    /// The text of an artifact.
    pub(super) async fn load(&self, id: &str) -> Result<Value, NodeError> {
        let content = self.daemon.artifacts.get(id).await.map_err(unavailable)?;
        content.text.map(Value::String).ok_or_else(|| {
            NodeError::new(FailureKind::BadInput, format!("the artifact {id} is no text, or too long"))
        })
    }

    /// What an agent's run may only do with a person's word. Asked once for each attempt, also across restarts.
    pub(super) async fn permit(
        &self,
        call: &NodeCall,
        what: &str,
        detail: Option<&str>,
    ) -> Result<(), NodeError> {
        if !self.is_agents() {
            return Ok(());
        }
        let question = format!(
            "{} started the melody run {}, whose node `{}` {what}. Allow it?",
            self.known.starter.name, self.known.run, call.node
        );
        match self.ask(call, &question, detail).await?.0 {
            InboxDecision::Allow => Ok(()),
            InboxDecision::Deny => {
                let message = format!("a person denied that `{}` {what}", call.node);
                Err(NodeError::new(FailureKind::Denied, message))
            }
        }
    }

    /// Puts a question into the inbox and waits for the answer, and whose it was.
    pub(super) async fn ask(
        &self,
        call: &NodeCall,
        question: &str,
        detail: Option<&str>,
    ) -> Result<(InboxDecision, String), NodeError> {
        let question = Question {
            run: self.known.run.clone(),
            call: format!("{}#{}", call.node, call.key),
            agent_id: self.known.starter.name.clone(),
            tool: call.work.uses.to_string(),
            question: question.to_owned(),
            detail: detail.map(str::to_owned),
            paths: Vec::new(),
        };
        let answered = self.daemon.inbox.decide(question, &call.cancel).await.map_err(unavailable)?;
        let item = answered.ok_or_else(|| NodeError::new(FailureKind::Cancelled, "cancelled"))?;
        let decision = item.decision.unwrap_or(InboxDecision::Deny);
        Ok((decision, item.answered_by.unwrap_or_default()))
    }

    /// Whether the node's own limits let it write there.
    pub(super) fn may_write(&self, call: &NodeCall, path: &str) -> Result<(), NodeError> {
        let Some(allowed) = &call.work.limits.writes else { return Ok(()) };
        let path = Path::new(path);
        let path = path.strip_prefix(&self.known.folder).unwrap_or(path);
        if allowed.iter().any(|folder| path.starts_with(folder.trim_end_matches('/'))) {
            return Ok(());
        }
        let message = format!("`{}` may write {} only", call.node, allowed.join(", "));
        Err(NodeError::new(FailureKind::Denied, message))
    }

    /// The repository of the run's worktree, with the variables of whoever started it.
    pub(super) async fn repo(&self) -> Result<(Repo, WorktreeLocation), NodeError> {
        let Some(worktree) = &self.known.worktree else {
            return Err(NodeError::new(FailureKind::BadInput, "the run works in no git worktree"));
        };
        let gone =
            || NodeError::new(FailureKind::Unavailable, format!("the worktree {} is gone", worktree.name));
        let place = self.daemon.worktrees.find_place(&worktree.id).await;
        let place = place.map_err(|error| NodeError::new(FailureKind::Unavailable, error.message))?;
        let place = place.ok_or_else(gone)?;
        let git = place.repo.git().with_env(GitEnv::from_vars(self.env()));
        Ok((place.repo.with_git(&git).map_err(unavailable)?, place.at))
    }
}

/// The id of an artifact that stands for a value.
pub(super) fn artifact_of(value: &Value) -> Option<&str> {
    let id = value.as_str()?.strip_prefix(ARTIFACT)?;
    uuid::Uuid::try_parse(id).is_ok().then_some(id)
}

/// Variables without those that hold keys.
pub(in crate::pit) fn without_keys(env: &Env) -> BTreeMap<String, String> {
    let kept = |name: &str| !KEYS.iter().any(|beginning| name.starts_with(beginning));
    env.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(super) fn unavailable(error: impl std::fmt::Display) -> NodeError {
    NodeError::new(FailureKind::Unavailable, error.to_string())
}
