//! The tools of a session as its turns have them: each call is permitted before it runs, and what is about to change
//! something is noted before it does.

use std::sync::Arc;

use async_trait::async_trait;
use podium_config::Live;
use podium_protocol::{SessionProgress, WireError};
use podium_store::rusqlite::{Connection, OptionalExtension as _};
use podium_store::{Durability, NewEvent, Store, StoreError};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ToolContext, reads_only};
use crate::SessionError;
use crate::agent::{ToolRun, Toolbox, Toolkit, Workbench};
use crate::permission::{Asker, Permissions, Undecided};
use crate::provider::{Chunk, ToolCall, ToolSpec};
use crate::rows;
use crate::workplace::{Terms, Workplaces};

const BEGAN: &str = "tool.began";
const CUT_OFF: &str =
    "Error: this call was cut off, and may have been done or not: look before you repeat it.";
const SYSTEM: &str = "You work in a git worktree. Its files are reached by tools only, by paths relative to its root. \
    Read before you change, keep changes small, and say at the end what you did.";

/// Opens these tools for the turns of sessions that have a worktree.
pub struct PermittedTools {
    store: Store,
    permissions: Permissions,
    workplaces: Option<Arc<dyn Workplaces>>,
}

impl PermittedTools {
    #[must_use]
    pub fn new(store: Store, config: Arc<Live>) -> Self {
        Self { permissions: Permissions::new(store.clone(), config), store, workplaces: None }
    }

    /// Lets sessions run commands, in the workplaces that are opened for them.
    #[must_use]
    pub fn with_workplaces(mut self, workplaces: Arc<dyn Workplaces>) -> Self {
        self.workplaces = Some(workplaces);
        self
    }
}

#[async_trait]
impl Toolkit for PermittedTools {
    async fn open(&self, bench: Workbench) -> Result<Arc<dyn Toolbox>, SessionError> {
        let mut ctx =
            ToolContext::new(bench.root.clone(), bench.session.clone(), Arc::clone(&bench.redactor));
        if let Some(workplaces) = &self.workplaces {
            // Without a place to run commands, files can be read and edited all the same.
            ctx.workplace = workplaces
                .open(&bench, &Terms::default())
                .await
                .map_err(|error| WireError::from(error).message);
        }
        if let Ok(workplace) = &ctx.workplace {
            rows::set_confinement(&self.store, &bench.session, workplace.mechanism()).await?;
        }
        let session = bench.session.clone();
        for data in self.store.read(move |conn: &Connection| results(conn, &session)).await? {
            ctx.marks.learn(&data);
        }
        Ok(Arc::new(Opened { store: self.store.clone(), permissions: self.permissions.clone(), ctx, bench }))
    }
}

/// What the results of the session told, oldest first.
fn results(conn: &Connection, session: &str) -> Result<Vec<Value>, StoreError> {
    let sql = "SELECT data FROM items WHERE session = ?1 AND kind = 'tool_result' AND data IS NOT NULL ORDER BY seq";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([session], |row| row.get::<_, String>(0))?;
    Ok(rows.filter_map(|text| serde_json::from_str(&text.ok()?).ok()).collect())
}

/// The number of the newest item that makes this call; it is stored before the call runs.
fn seq_of(conn: &Connection, session: &str, call: &str) -> Result<u64, StoreError> {
    let sql = "SELECT seq FROM items WHERE session = ?1 AND kind = 'tool_call' AND data ->> 'id' = ?2
               ORDER BY seq DESC LIMIT 1";
    Ok(conn.query_row(sql, [session, call], |row| row.get(0)).optional()?.unwrap_or_default())
}

fn has_begun(conn: &Connection, session: &str, call: &str, seq: u64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM events WHERE type = ?1 AND subject = ?2 AND data ->> 'call' = ?3 AND data ->> 'seq' = ?4";
    let subject = format!("session/{session}");
    let found = conn.query_row(sql, podium_store::rusqlite::params![BEGAN, subject, call, seq], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// The tools of one turn.
struct Opened {
    store: Store,
    permissions: Permissions,
    ctx: ToolContext,
    bench: Workbench,
}

#[async_trait]
impl Toolbox for Opened {
    fn specs(&self) -> Vec<ToolSpec> {
        super::specs()
    }

    fn system(&self) -> String {
        SYSTEM.to_owned()
    }

    async fn run(
        &self,
        call: &ToolCall,
        cut_off: bool,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> ToolRun {
        match self.permitted(call, cut_off, &out, &stop).await {
            Ok(ran) => ran,
            Err(Undecided::Stopped) => ToolRun { stopped: true, ..ToolRun::refused(call, "stopped") },
            Err(Undecided::Failed(error)) => ToolRun::refused(call, &format!("Error: {error}.")),
        }
    }

    async fn close(&self) {
        let Ok(workplace) = &self.ctx.workplace else { return };
        match workplace.close().await {
            Ok(true) => {}
            Ok(false) => tracing::info!(session = self.bench.session, "commits stay in the workplace"),
            Err(error) => tracing::warn!(session = self.bench.session, %error, "a workplace is left"),
        }
    }
}

impl Opened {
    async fn permitted(
        &self,
        call: &ToolCall,
        cut_off: bool,
        out: &mpsc::Sender<Chunk>,
        stop: &CancellationToken,
    ) -> Result<ToolRun, Undecided> {
        if super::find(&call.name).is_none() {
            // It says which tools there are; nobody need be asked about one that is not.
            return Ok(ToolRun { result: super::run(call, &self.ctx).await.result, ..ToolRun::default() });
        }
        let seq = self.seq(call).await?;
        let changes = !reads_only(&call.name);
        if cut_off && changes && self.has_begun(call, seq).await? {
            return Ok(ToolRun::refused(call, CUT_OFF));
        }
        let paths = Arc::new(self.permissions.paths(&call.name));
        let ctx = ToolContext { paths, stop: stop.clone(), ..self.ctx.clone() };
        let decision = self.permissions.decide(call, seq, &ctx, &self.asker(out, stop)).await?;
        let (text, data) = decision.item(&ctx.redactor);
        let _ = out.send(Chunk::Permission { text, data }).await;
        if !decision.allowed {
            self.log(decision.event(&ctx.session, &ctx.redactor)).await?;
            return Ok(ToolRun::refused(call, &ctx.redactor.redact(&decision.refusal())));
        }
        if changes {
            self.log(Some(self.began(call, seq))).await?;
        }
        let ran = super::run(call, &ctx).await;
        self.log(ran.event).await?;
        let changed = ran.result.data.as_ref().filter(|data| data["after"].is_string());
        let changed = changed.and_then(|data| data["path"].as_str()).map(str::to_owned).into_iter().collect();
        Ok(ToolRun { result: ran.result, overflow: ran.overflow, changed, stopped: false })
    }

    fn asker(&self, out: &mpsc::Sender<Chunk>, stop: &CancellationToken) -> Asker {
        let out = out.clone();
        Asker {
            session: self.bench.session.clone(),
            agent_id: self.bench.agent_id.clone(),
            repo: self.bench.repo.clone(),
            // Whoever names an agent has the worktree claimed for it; a person's own session works beside them.
            claimed: self.bench.agent_id.is_some() && !self.bench.worktree.is_empty(),
            redactor: Arc::clone(&self.bench.redactor),
            stop: stop.clone(),
            waiting: Arc::new(move |_| {
                let progress = SessionProgress { phase: "waiting".to_owned(), done: 0, total: 0 };
                // A full queue shows that there is something newer to see.
                let _ = out.try_send(Chunk::Progress(progress));
            }),
        }
    }

    fn began(&self, call: &ToolCall, seq: u64) -> NewEvent {
        let session = &self.bench.session;
        let data = json!({ "id": session, "tool": call.name, "call": call.id, "seq": seq });
        NewEvent::new(BEGAN, format!("session/{session}"), data).correlated(session.clone())
    }

    async fn seq(&self, call: &ToolCall) -> Result<u64, SessionError> {
        let (session, call) = (self.bench.session.clone(), call.id.clone());
        Ok(self.store.read(move |conn: &Connection| seq_of(conn, &session, &call)).await?)
    }

    async fn has_begun(&self, call: &ToolCall, seq: u64) -> Result<bool, SessionError> {
        let (session, call) = (self.bench.session.clone(), call.id.clone());
        Ok(self.store.read(move |conn: &Connection| has_begun(conn, &session, &call, seq)).await?)
    }

    async fn log(&self, event: Option<NewEvent>) -> Result<(), SessionError> {
        let Some(event) = event else { return Ok(()) };
        let write = self.store.write::<_, SessionError>(Durability::Process, move |tx| Ok(tx.emit(&event)?));
        write.await.map(drop)
    }
}
