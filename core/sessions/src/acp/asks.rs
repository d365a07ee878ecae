//! Who decides about what an agent is about to do: the person's rules, what holds without any, and the inbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_protocol::SessionProgress;
use podium_store::{Durability, Store};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::SessionError;
use crate::agent::Workbench;
use crate::permission::{Asker, DecidedBy, Decision, Permissions, Request, Undecided};
use crate::provider::{Chunk, Turn};
use crate::tools::{self, ToolContext, served};

/// Decides for the sessions of agents. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    store: Store,
    permissions: Permissions,
}

/// What an agent asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Question {
    /// Names the question within its session; the same when it is asked again after a restart.
    pub(super) key: String,
    /// A tool of ours that does the same, where there is one: rules are about those.
    pub(super) tool: String,
    /// One line for a person.
    pub(super) summary: String,
    /// What exactly would be done.
    pub(super) detail: Option<String>,
    /// Command line for a shell, where that is what it is.
    pub(super) command: Option<String>,
    pub(super) paths: Vec<PathBuf>,
}

/// The gate of one turn.
pub(super) struct Watch {
    gate: Gate,
    bench: Workbench,
    ctx: ToolContext,
    out: mpsc::WeakSender<Chunk>,
    stop: CancellationToken,
}

impl Gate {
    #[must_use]
    pub fn new(store: Store, permissions: Permissions) -> Self {
        Self { store, permissions }
    }

    pub(super) async fn watch(
        &self,
        turn: &Turn,
        out: &mpsc::Sender<Chunk>,
        stop: &CancellationToken,
    ) -> Result<Watch, SessionError> {
        let bench = Workbench::of(&self.store, &turn.session, turn.env.clone()).await?;
        let root = turn.worktree.clone().unwrap_or_default();
        let mut ctx = ToolContext::new(root, turn.session.clone(), Arc::clone(&turn.redactor));
        ctx.stop = stop.clone();
        Ok(Watch { gate: self.clone(), bench, ctx, out: out.downgrade(), stop: stop.clone() })
    }
}

impl Watch {
    /// What a tool of this name may open.
    pub(super) fn context(&self, tool: &str) -> ToolContext {
        ToolContext { paths: Arc::new(self.gate.permissions.paths(tool)), ..self.ctx.clone() }
    }

    /// Waits for a person where one has to be asked. A denial is logged.
    pub(super) async fn decide(&self, question: Question) -> Result<Decision, Undecided> {
        let (request, inside) = self.request(question).await;
        let decision = self.gate.permissions.decide_request(&request, &self.asker(inside)).await?;
        if let Some(event) = decision.event(&self.ctx.session, &self.ctx.redactor) {
            let write =
                self.gate.store.write::<_, SessionError>(Durability::Process, move |tx| Ok(tx.emit(&event)?));
            write.await?;
        }
        Ok(decision)
    }

    pub(super) fn item(&self, decision: &Decision) -> Chunk {
        let (text, data) = decision.item(&self.ctx.redactor);
        Chunk::Permission { text, data }
    }

    /// Paths as rules are written about them; whether all lie in the worktree.
    async fn request(&self, question: Question) -> (Request, bool) {
        let Question { key, tool, summary, detail, command, paths } = question;
        let mut request = Request { key, tool, summary, detail, command, ..Request::default() };
        let mut inside = true;
        for path in paths {
            if self.ctx.root.as_os_str().is_empty() || !served::is_inside(&self.ctx, &path) {
                inside = false;
                request.paths.push(path);
                continue;
            }
            match tools::real_path(&self.ctx, path.to_string_lossy().into_owned()).await {
                Ok(real) => request.paths.extend(of_place(&path, real)),
                // What cannot be found is not among the paths that rules see, so nothing may allow it.
                Err(error) => {
                    request.refused.get_or_insert_with(|| error.to_string());
                }
            }
        }
        (request, inside)
    }

    fn asker(&self, inside: bool) -> Asker {
        let (bench, out) = (&self.bench, self.out.clone());
        Asker {
            session: bench.session.clone(),
            agent_id: bench.agent_id.clone(),
            repo: bench.repo.clone(),
            // As for a bare model: whoever names an agent has the worktree claimed for it.
            claimed: inside && bench.agent_id.is_some() && !bench.worktree.is_empty(),
            redactor: Arc::clone(&self.ctx.redactor),
            stop: self.stop.clone(),
            waiting: Arc::new(move |_| {
                let progress = SessionProgress { phase: "waiting".to_owned(), done: 0, total: 0 };
                if let Some(out) = out.upgrade() {
                    // A full queue shows that there is something newer to see.
                    let _ = out.try_send(Chunk::Progress(progress));
                }
            }),
        }
    }
}

/// The real path, and the one that was named where that is another.
fn of_place(given: &Path, real: PathBuf) -> Vec<PathBuf> {
    let mut all = vec![real];
    if given.is_relative() && given != all[0] {
        all.push(given.to_owned());
    }
    all.retain(|path| !path.as_os_str().is_empty());
    all
}

/// Whether the transcript has to tell of it: what is allowed without a word is not.
pub(super) fn is_told(decision: &Decision) -> bool {
    !decision.allowed || !matches!(decision.by, DecidedBy::Default | DecidedBy::Rule(_))
}

/// Keys of questions: an agent that is started anew counts anew, and its questions are others.
pub(super) fn key(run: &str, parts: &[&str], input: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(b"\0");
    }
    hasher.update(input.to_string().as_bytes());
    format!("{run}/{}", &hasher.finalize().to_hex()[..16])
}
