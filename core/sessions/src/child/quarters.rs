//! Places for agents as the settings say: in the session's workplace, under its claim; unconfined only by the recorded word
//! of a person.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use podium_config::Live;
use podium_protocol::{InboxDecision, InboxScope, WireError};
use podium_store::rusqlite::Connection;
use podium_store::{Durability, NewEvent, Store};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Homeless, Lodger, Quarters, Room};
use crate::SessionError;
use crate::agent::Workbench;
use crate::inbox::{Inbox, Subject, ToolQuestion};
use crate::workplace::{Approval, CommandOptions, Lodging, Terms, Workplace, WorkplaceError, Workplaces};

/// What a person is asked to allow, as a tool.
const UNSANDBOXED: &str = "unsandboxed";

/// Gives agents their places.
pub struct Lodgings {
    store: Store,
    inbox: Inbox,
    config: Arc<Live>,
    workplaces: Arc<dyn Workplaces>,
}

impl Lodgings {
    #[must_use]
    pub fn new(store: Store, config: Arc<Live>, workplaces: Arc<dyn Workplaces>) -> Self {
        Self { inbox: Inbox::new(store.clone()), store, config, workplaces }
    }
}

#[async_trait]
impl Quarters for Lodgings {
    async fn prepare(&self, lodger: &Lodger, stop: &CancellationToken) -> Result<Room, Homeless> {
        let bench = Workbench::of(&self.store, &lodger.session, lodger.env.clone()).await;
        let bench = bench.map_err(|error| Homeless::Refused(error.to_string()))?;
        let (lodging, workplace) = match self.open(&bench, &lodger.terms).await {
            Err(WorkplaceError::Unconfined { reasons }) => {
                let approval = self.approval(lodger, &bench, &reasons, stop).await?;
                let terms = Terms { unsandboxed: Some(approval), ..lodger.terms.clone() };
                self.open(&bench, &terms).await
            }
            opened => opened,
        }
        .map_err(refused)?;
        let confined = crate::rows::set_confinement(&self.store, &lodger.session, lodging.mechanism).await;
        confined.map_err(|error| Homeless::Refused(error.to_string()))?;
        let told = match &lodging.approval {
            Some(approval) if !lodger.terms.occupied => Some(self.record(lodger, approval).await?),
            _ => None,
        };
        let command_network = self.config.get().flag("sandbox.network");
        Ok(Room { lodging: Some(lodging), workplace, command_network, told })
    }

    async fn leave(&self, session: &str) -> Result<(), WorkplaceError> {
        self.workplaces.leave(session).await
    }
}

impl Lodgings {
    async fn open(
        &self,
        bench: &Workbench,
        terms: &Terms,
    ) -> Result<(Lodging, Option<Arc<Workplace>>), WorkplaceError> {
        if bench.worktree.is_empty() {
            return Ok((self.workplaces.alone(bench, terms).await?, None));
        }
        let place = self.workplaces.open(bench, terms).await?;
        let inside = Arc::clone(&place);
        let lodging = tokio::task::spawn_blocking(move || inside.lodging(&CommandOptions::default())).await;
        Ok((lodging.unwrap_or(Err(WorkplaceError::CutOff))?, Some(place)))
    }

    /// Somebody's word that the agent may work unconfined: a lasting answer, else one that is waited for.
    async fn approval(
        &self,
        lodger: &Lodger,
        bench: &Workbench,
        reasons: &[String],
        stop: &CancellationToken,
    ) -> Result<Approval, Homeless> {
        let failed = |error: SessionError| Homeless::Refused(error.to_string());
        let agent = Some(lodger.agent.clone());
        let asked = (lodger.session.clone(), bench.repo.clone(), UNSANDBOXED.to_owned());
        let grants = self.inbox.grants_for(asked.0, asked.1, asked.2).await.map_err(failed)?;
        let fitting =
            |decision| grants.iter().find(|grant| grant.command == agent && grant.decision == decision);
        // A word against it wins, as it does for tools.
        if let Some(grant) = fitting(InboxDecision::Deny) {
            let by = format!(
                "by an earlier answer of {}, which `jelmore inbox forget` takes back",
                grant.granted_by
            );
            return Err(denied(&lodger.agent, &by, reasons));
        }
        if let Some(grant) = fitting(InboxDecision::Allow) {
            return Ok(Approval { by: grant.granted_by.clone(), at: SystemTime::now() });
        }
        let question = self.question(lodger, bench, reasons);
        let timeout = question.timeout;
        let item = self.inbox.ask_for(question).await.map_err(failed)?;
        let item = self.inbox.wait(&item.id, timeout, stop).await.map_err(failed)?;
        let item = item.ok_or(Homeless::Stopped)?;
        match (item.decision, item.answered_by) {
            (Some(InboxDecision::Allow), Some(by)) => Ok(Approval { by, at: SystemTime::now() }),
            (Some(_), by) => Err(denied(&lodger.agent, &by.unwrap_or_default(), reasons)),
            (None, _) => Err(Homeless::Stopped),
        }
    }

    fn question(&self, lodger: &Lodger, bench: &Workbench, reasons: &[String]) -> ToolQuestion {
        let mut options = vec![InboxScope::Once, InboxScope::Session];
        options.extend(bench.repo.is_some().then_some(InboxScope::Project));
        let why = match reasons {
            [] => "`sandbox.mechanism` is `none`".to_owned(),
            reasons => reasons.join("; "),
        };
        ToolQuestion {
            session: lodger.session.clone(),
            call: format!("{UNSANDBOXED}/{}/{}", lodger.agent, lodger.run),
            agent_id: bench.agent_id.clone().unwrap_or_else(|| format!("session:{}", lodger.session)),
            repo: bench.repo.clone(),
            tool: UNSANDBOXED.to_owned(),
            question: format!("run {} UNSANDBOXED: it could read and change whatever you can", lodger.agent),
            detail: Some(format!("Nothing confines it here: {why}")),
            paths: Vec::new(),
            subject: Subject { command: Some(lodger.agent.clone()), path: None },
            options,
            timeout: self.config.get().seconds("sessions.permission_timeout_seconds"),
            // Silence is no word, whatever is set for other questions.
            on_timeout: InboxDecision::Deny,
        }
    }

    /// Before the agent is started.
    async fn record(&self, lodger: &Lodger, approval: &Approval) -> Result<(String, Value), Homeless> {
        let session = &lodger.session;
        let data = json!({
            "id": session, "agent": lodger.agent, "run": lodger.run, "by": approval.by, "tool": UNSANDBOXED,
            "decision": InboxDecision::Allow,
        });
        let event = NewEvent::new("session.unsandboxed", format!("session/{session}"), data.clone());
        let event = event.correlated(session.clone());
        let write = self.store.write::<_, SessionError>(Durability::Power, move |tx| Ok(tx.emit(&event)?));
        write.await.map_err(|error| Homeless::Refused(error.to_string()))?;
        let text = format!("allowed: {} works UNSANDBOXED (by {})", lodger.agent, approval.by);
        Ok((text, data))
    }
}

fn denied(agent: &str, by: &str, reasons: &[String]) -> Homeless {
    let reasons = reasons.join("; ");
    Homeless::Refused(format!("{agent} may not work unsandboxed ({by}), and nothing confines it: {reasons}"))
}

fn refused(error: WorkplaceError) -> Homeless {
    let wire = WireError::from(error);
    Homeless::Refused(wire.hints.iter().fold(wire.message, |text, hint| format!("{text}; {hint}")))
}

impl Workbench {
    /// Of a session that is stored, without its tools' needs.
    ///
    /// # Errors
    /// `NotFound`; what the database says.
    pub async fn of(store: &Store, session: &str, env: crate::Env) -> Result<Self, SessionError> {
        let id = session.to_owned();
        let read = move |conn: &Connection| -> Result<_, SessionError> { Ok(crate::rows::find(conn, &id)?) };
        let row = store.read(read).await?.ok_or_else(|| SessionError::NotFound(session.to_owned()))?;
        Ok(Self {
            session: row.info.id,
            agent_id: row.info.agent_id,
            worktree: row.worktree_id.unwrap_or_default(),
            root: row.info.worktree_path.map(Into::into).unwrap_or_default(),
            repo: row.repo,
            env,
            redactor: Arc::default(),
        })
    }
}
