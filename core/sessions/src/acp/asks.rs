//! Who decides about what an agent asks to do.

use async_trait::async_trait;
use podium_protocol::{InboxDecision, InboxItem};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Inbox, SessionError};

/// Characters of a question.
const MAX_WORDS: usize = 1_500;

/// What an agent asks for.
#[derive(Debug, Clone)]
pub struct Question {
    pub session: String,
    /// Names the question within its session; the same when it is asked again after a restart.
    pub key: String,
    /// The agent's name of the tool, empty where it gives none.
    pub tool: String,
    /// One line for a person.
    pub summary: String,
    /// What exactly would be done.
    pub detail: Option<String>,
    /// Command line for a shell, where that is what it is.
    pub command: Option<String>,
    pub paths: Vec<std::path::PathBuf>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub allowed: bool,
    /// The item of the transcript.
    pub text: String,
    pub data: Value,
}

/// Decides. A question is durable and answered once: one that was asked before a restart is found again.
#[async_trait]
pub trait Asks: Send + Sync {
    /// `None` when the turn ended first.
    ///
    /// # Errors
    /// Why nobody can decide; the agent is refused then.
    async fn ask(&self, question: Question, stop: &CancellationToken) -> Result<Option<Answered>, String>;
}

/// Asks a person through the inbox.
pub struct InboxAsks {
    inbox: Inbox,
}

impl InboxAsks {
    #[must_use]
    pub fn new(inbox: Inbox) -> Self {
        Self { inbox }
    }

    /// The question as it was asked before, else a new one.
    async fn asked(&self, question: &Question, text: &str) -> Result<InboxItem, SessionError> {
        let session = Some(question.session.clone());
        let before = self.inbox.list(true).await?;
        match before.into_iter().find(|item| item.session == session && item.question == text) {
            Some(item) => Ok(item),
            None => self.inbox.ask(format!("session:{}", question.session), session, text.to_owned()).await,
        }
    }

    async fn decision(&self, id: &str) -> Result<Option<InboxDecision>, SessionError> {
        let all = self.inbox.list(true).await?;
        Ok(all.into_iter().find(|item| item.id == id).and_then(|item| item.decision))
    }
}

#[async_trait]
impl Asks for InboxAsks {
    async fn ask(&self, question: Question, stop: &CancellationToken) -> Result<Option<Answered>, String> {
        let text = words(&question);
        let mut head = self.inbox.watch_head();
        let item = self.asked(&question, &text).await.map_err(|error| error.to_string())?;
        loop {
            head.borrow_and_update();
            if let Some(decision) = self.decision(&item.id).await.map_err(|error| error.to_string())? {
                let allowed = decision == InboxDecision::Allow;
                let word = if allowed { "allowed" } else { "denied" };
                let data = json!({ "question": item.id, "decision": decision, "tool": question.tool });
                return Ok(Some(Answered { allowed, text: format!("{word}: {}", question.summary), data }));
            }
            tokio::select! {
                changed = head.changed() => changed.map_err(|_| "the store is closed".to_owned())?,
                () = stop.cancelled() => return Ok(None),
            }
        }
    }
}

/// The key is part of it: the same question at another time is another one.
fn words(question: &Question) -> String {
    let mut text = question.summary.clone();
    if let Some(detail) = &question.detail {
        text = format!("{text}\n{detail}");
    }
    let text: String = text.chars().take(MAX_WORDS).collect();
    format!("{text}\n({})", question.key)
}
