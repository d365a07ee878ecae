//! Questions of what is no session: the nodes of a melody.

use podium_protocol::{InboxDecision, InboxItem};
use podium_store::Durability;
use tokio_util::sync::CancellationToken;

use super::{Inbox, Subject, ToolQuestion, rows};
use crate::SessionError;

/// Longest question and longest detail, in characters.
const LONGEST: usize = 2_000;
const LONGEST_DETAIL: usize = 64 * 1024;

/// A question that is asked once, also across restarts.
#[derive(Debug, Clone)]
pub struct Question {
    /// Id of the run that asks.
    pub run: String,
    /// Names the question within the run, the same after a restart.
    pub call: String,
    pub agent_id: String,
    pub tool: String,
    pub question: String,
    /// What exactly would be done.
    pub detail: Option<String>,
    pub paths: Vec<String>,
}

impl Inbox {
    /// Asks, or finds what was asked before, and waits for a person. `None` when `stop` came first: the question stays.
    ///
    /// # Errors
    /// What the database says.
    pub async fn decide(
        &self,
        question: Question,
        stop: &CancellationToken,
    ) -> Result<Option<InboxItem>, SessionError> {
        let asked = ToolQuestion {
            session: question.run,
            call: question.call,
            agent_id: question.agent_id,
            repo: None,
            tool: question.tool,
            question: question.question.chars().take(LONGEST).collect(),
            detail: question.detail.map(|text| text.chars().take(LONGEST_DETAIL).collect()),
            paths: question.paths,
            subject: Subject::default(),
            options: Vec::new(),
            timeout: None,
            on_timeout: InboxDecision::Deny,
        };
        let item = self.ask_for(asked).await?;
        self.wait(&item.id, None, stop).await
    }

    /// Takes back what a run still asks.
    ///
    /// # Errors
    /// What the database says.
    pub async fn withdraw_of(&self, run: &str) -> Result<(), SessionError> {
        let run = run.to_owned();
        let write = self
            .store
            .write(Durability::Process, move |tx| Ok::<_, SessionError>(rows::withdraw(tx, &run, true)?));
        write.await
    }
}
