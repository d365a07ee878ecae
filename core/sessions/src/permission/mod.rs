//! Whether a tool may do what it is about to: allowed, asked of a person, or denied.
//!
//! Deny wins: a rule that denies, then a secret file, then what a person answered for longer, then the first rule that
//! fits, then the defaults. A question is durable, and a turn that goes on after a restart finds it again.

mod command;
mod request;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use podium_config::Live;
use podium_protocol::{InboxDecision, InboxItem, InboxScope};
use podium_secrets::Redactor;
use podium_store::{NewEvent, Store};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub use request::Request;
use rules::{Origin, Rules, Verdict};

use crate::SessionError;
use crate::inbox::{Inbox, Subject, ToolQuestion};
use crate::tools::{self, PathPolicy, ToolCall, ToolContext};

/// Longest detail of a question, in bytes.
const MAX_DETAIL: usize = 64 * 1024;
const MAX_SUMMARY: usize = 500;
/// Paths of a question that are shown.
const MAX_PATHS: usize = 50;

/// Decides what tools may do. Cheap to clone.
#[derive(Clone)]
pub struct Permissions {
    inbox: Inbox,
    config: Arc<Live>,
}

/// In whose name a tool is used.
#[derive(Clone)]
pub struct Asker {
    pub session: String,
    /// Who works; the session itself where nobody is named.
    pub agent_id: Option<String>,
    /// Id of the repository it works in.
    pub repo: Option<String>,
    /// Whether it works in a worktree that is claimed for it.
    pub claimed: bool,
    pub redactor: Arc<Redactor>,
    /// The turn ends: the question stays.
    pub stop: CancellationToken,
    /// Told when a person has to be waited for.
    pub waiting: Arc<dyn Fn(&InboxItem) + Send + Sync>,
}

/// What was decided, by whom, and how far that reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub by: DecidedBy,
    pub scope: InboxScope,
    /// The question, if one was asked.
    pub question: Option<String>,
    /// [`Request::key`] of the call.
    call: String,
    tool: String,
    summary: String,
}

/// Whose decision it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedBy {
    /// What holds where no rule says anything.
    Default,
    /// A rule of the configuration, as it is written.
    Rule(String),
    /// A lasting answer of this person.
    Remembered(String),
    Person(String),
    /// Nobody answered in time.
    Timeout,
    /// It can reach nothing: the tree keeps it out.
    Tree(String),
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Failed(#[from] SessionError),
}

impl Permissions {
    #[must_use]
    pub fn new(store: Store, config: Arc<Live>) -> Self {
        Self { inbox: Inbox::new(store), config }
    }

    /// Which paths a tool may open; the tools themselves keep to it.
    #[must_use]
    pub fn paths(&self, tool: &str) -> PathPolicy {
        Rules::of(&self.config.get()).paths(tool)
    }

    /// Decides about a call of one of our own tools, and waits for a person where one has to be asked. `seq` is the
    /// number of the call's item in the transcript.
    ///
    /// # Errors
    /// `Stopped` when the turn ended first; what the database says.
    pub async fn decide(
        &self,
        call: &ToolCall,
        seq: u64,
        ctx: &ToolContext,
        asker: &Asker,
    ) -> Result<Decision, Undecided> {
        let request = Request::of(call, seq, ctx).await;
        let (verdict, origin) = self.judge(&request, asker).await?;
        if verdict != Verdict::Ask {
            return Ok(settled(&request, verdict == Verdict::Allow, origin));
        }
        let detail = tools::preview(call, ctx).await.or(request.detail.clone());
        self.ask(&Request { detail, ..request }, &origin, asker).await
    }

    /// Decides about what an agent with tools of its own is about to do.
    ///
    /// # Errors
    /// As [`Permissions::decide`].
    pub async fn decide_request(&self, request: &Request, asker: &Asker) -> Result<Decision, Undecided> {
        match self.judge(request, asker).await? {
            (Verdict::Ask, origin) => self.ask(request, &origin, asker).await,
            (verdict, origin) => Ok(settled(request, verdict == Verdict::Allow, origin)),
        }
    }

    async fn judge(&self, request: &Request, asker: &Asker) -> Result<(Verdict, Origin), Undecided> {
        if request.refused.is_some() {
            return Ok((Verdict::Deny, Origin::Default));
        }
        let grants =
            self.inbox.grants_for(asker.session.clone(), asker.repo.clone(), request.tool.clone()).await?;
        Ok(Rules::of(&self.config.get()).judge(request, &grants, asker.claimed))
    }

    async fn ask(&self, request: &Request, origin: &Origin, asker: &Asker) -> Result<Decision, Undecided> {
        let timeout = self.config.get().seconds("sessions.permission_timeout_seconds");
        let item = self.inbox.ask_for(self.question(request, origin, asker, timeout)).await?;
        let item = if item.is_open() {
            (asker.waiting)(&item);
            self.inbox.wait(&item.id, timeout, &asker.stop).await?.ok_or(Undecided::Stopped)?
        } else {
            item
        };
        // A withdrawn question belongs to a session that ended.
        let decision = item.decision.ok_or(Undecided::Stopped)?;
        let by = match item.answered_by.as_deref() {
            Some("timeout") | None => DecidedBy::Timeout,
            Some(person) => DecidedBy::Person(person.to_owned()),
        };
        Ok(Decision {
            allowed: decision == InboxDecision::Allow,
            by,
            scope: item.scope.unwrap_or(InboxScope::Once),
            question: Some(item.id),
            call: request.key.clone(),
            tool: request.tool.clone(),
            summary: item.question,
        })
    }

    fn question(
        &self,
        request: &Request,
        origin: &Origin,
        asker: &Asker,
        timeout: Option<Duration>,
    ) -> ToolQuestion {
        let config = self.config.get();
        let redact = |text: &str, most: usize| cut(asker.redactor.redact(text), most);
        let mut options = vec![InboxScope::Once, InboxScope::Session];
        options.extend(asker.repo.is_some().then_some(InboxScope::Project));
        ToolQuestion {
            session: asker.session.clone(),
            call: request.key.clone(),
            agent_id: asker.agent_id.clone().unwrap_or_else(|| format!("session:{}", asker.session)),
            repo: asker.repo.clone(),
            tool: request.tool.clone(),
            question: redact(&request.summary, MAX_SUMMARY),
            detail: request.detail.as_deref().map(|detail| redact(detail, MAX_DETAIL)),
            paths: request.paths.iter().take(MAX_PATHS).map(|path| path.display().to_string()).collect(),
            subject: subject(request, origin),
            options,
            timeout,
            on_timeout: match config.text("sessions.permission_timeout") {
                "allow" => InboxDecision::Allow,
                _ => InboxDecision::Deny,
            },
        }
    }
}

/// What a lasting answer is about: the command to the letter; the path where a rule asks about it, else any file.
fn subject(request: &Request, origin: &Origin) -> Subject {
    let path = match origin {
        Origin::Rule(_) => request.lasting_path(),
        _ => None,
    };
    Subject { command: request.command.clone(), path }
}

fn settled(request: &Request, allowed: bool, origin: Origin) -> Decision {
    let by = match (origin, &request.refused) {
        (Origin::Default, Some(reason)) => DecidedBy::Tree(reason.clone()),
        (Origin::Default, None) => DecidedBy::Default,
        (Origin::Rule(rule), _) => DecidedBy::Rule(rule),
        (Origin::Grant(person), _) => DecidedBy::Remembered(person),
    };
    let (call, tool, summary) = (request.key.clone(), request.tool.clone(), request.summary.clone());
    Decision { allowed, by, scope: InboxScope::Once, question: None, call, tool, summary }
}

impl Decision {
    /// The item of the transcript: kind `permission`.
    #[must_use]
    pub fn item(&self, redactor: &Redactor) -> (String, Value) {
        let word = if self.allowed { "allowed" } else { "denied" };
        let text = redactor.redact(&format!("{word}: {} ({})", self.summary, self.by));
        let decision = if self.allowed { InboxDecision::Allow } else { InboxDecision::Deny };
        let data = json!({
            "tool": self.tool, "decision": decision, "by": self.by.word(), "who": self.by.who(), "scope": self.scope,
            "question": self.question, "call": self.call,
        });
        (text, tools::redact_data(redactor, data))
    }

    /// What the log tells of a denial, in the transaction that stores the item.
    #[must_use]
    pub fn event(&self, session: &str, redactor: &Redactor) -> Option<NewEvent> {
        if self.allowed {
            return None;
        }
        let summary = redactor.redact(&self.summary);
        tracing::warn!(session, tool = self.tool, by = self.by.word(), summary, "a tool was denied");
        let data = json!({
            "id": session, "tool": self.tool, "summary": summary, "by": self.by.word(), "who": self.by.who(),
            "question": self.question,
        });
        let data = tools::redact_data(redactor, data);
        Some(NewEvent::new("permission.denied", format!("session/{session}"), data).correlated(session))
    }

    /// What the model is told in place of a result.
    #[must_use]
    pub fn refusal(&self) -> String {
        let hint = match self.by {
            DecidedBy::Person(_) | DecidedBy::Remembered(_) => {
                "Do not try the same by another way: go on without it, or say what you need it for."
            }
            DecidedBy::Timeout => {
                "Nobody was there to allow it. Go on without it, or say what you need it for."
            }
            _ => "Go on without it, or say what you need it for.",
        };
        format!("Error: not permitted: {} ({}).\n{hint}", self.summary, self.by)
    }
}

impl DecidedBy {
    fn word(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Rule(_) => "rule",
            Self::Remembered(_) => "remembered",
            Self::Person(_) => "person",
            Self::Timeout => "timeout",
            Self::Tree(_) => "tree",
        }
    }

    fn who(&self) -> Option<&str> {
        match self {
            Self::Rule(who) | Self::Remembered(who) | Self::Person(who) | Self::Tree(who) => Some(who),
            Self::Default | Self::Timeout => None,
        }
    }
}

impl std::fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::Rule(rule) => write!(f, "by the rule {rule}"),
            Self::Remembered(person) => write!(f, "by an earlier answer of {person}"),
            Self::Person(person) => write!(f, "by {person}"),
            Self::Timeout => f.write_str("nobody answered in time"),
            Self::Tree(reason) => f.write_str(reason),
        }
    }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push_str(" [cut]");
    }
    text
}
