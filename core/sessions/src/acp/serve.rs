//! What an agent asks of us: permission, files, terminals.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::asks::{Asks, Question};
use super::files;
use super::schema::{self, INTERNAL, INVALID_PARAMS, Permission, RpcError, Wanted};
use super::talk::Asked;
use super::terminals::Terminals;
use crate::Env;
use crate::child::Room;
use crate::provider::{Chunk, Turn};

/// Serves one turn's agent.
pub(super) struct Server {
    session: String,
    root: Option<PathBuf>,
    env: Env,
    room: Room,
    terminals: Terminals,
    asks: Arc<dyn Asks>,
    stop: CancellationToken,
}

/// An answer, and what the transcript tells of it.
pub(super) struct Served {
    pub(super) id: Value,
    pub(super) result: Result<Value, RpcError>,
    pub(super) chunks: Vec<Chunk>,
}

impl Server {
    pub(super) fn new(turn: &Turn, room: Room, asks: Arc<dyn Asks>, stop: CancellationToken) -> Self {
        Self {
            session: turn.session.clone(),
            root: turn.worktree.clone(),
            env: turn.env.clone(),
            room,
            terminals: Terminals::default(),
            asks,
            stop,
        }
    }

    pub(super) async fn serve(self: Arc<Self>, asked: Asked) -> Served {
        let Asked { id, method, params } = asked;
        let mut chunks = Vec::new();
        let result = match schema::wanted(&method, &params) {
            Ok(Wanted::Permission(permission)) => Ok(self.permission(&id, &permission, &mut chunks).await),
            Ok(wanted) => self.provide(wanted).await,
            Err(error) => Err(error),
        };
        Served { id, result, chunks }
    }

    async fn permission(&self, id: &Value, permission: &Permission, chunks: &mut Vec<Chunk>) -> Value {
        let input = permission.tool.input.clone().unwrap_or_default();
        let question = Question {
            session: self.session.clone(),
            key: format!("{}/{id}", permission.tool.id),
            tool: permission.question.clone(),
            summary: permission.question.clone(),
            detail: permission.tool.text.clone().or_else(|| (!input.is_null()).then(|| input.to_string())),
            command: input["command"].as_str().map(str::to_owned),
            paths: input["path"]
                .as_str()
                .or_else(|| input["file_path"].as_str())
                .map(PathBuf::from)
                .into_iter()
                .collect(),
        };
        let text = question.summary.clone();
        match self.asks.ask(question, &self.stop).await {
            Ok(Some(answered)) => {
                chunks.push(Chunk::Permission { text: answered.text, data: answered.data });
                permission.outcome(Some(answered.allowed))
            }
            Ok(None) => permission.outcome(None),
            Err(why) => {
                let data = json!({ "decision": "deny", "why": why });
                chunks.push(Chunk::Permission { text: format!("denied: {text} ({why})"), data });
                permission.outcome(Some(false))
            }
        }
    }

    async fn provide(&self, wanted: Wanted) -> Result<Value, RpcError> {
        match wanted {
            Wanted::Permission(_) => Ok(Value::Null),
            Wanted::Read { path, line, limit } => {
                let root = self.root()?;
                let text = blocking(move || files::read(&root, &path, line, limit)).await?;
                Ok(json!({ "content": text }))
            }
            Wanted::Write { path, content } => {
                let root = self.root()?;
                blocking(move || files::write(&root, &path, &content)).await?;
                Ok(json!({}))
            }
            Wanted::CreateTerminal(asked) => {
                self.terminals.create(&self.root()?, &asked, &self.env, &self.room)
            }
            Wanted::TerminalOutput(id) => self.terminals.output(&id),
            Wanted::WaitForTerminal(id) => self.terminals.wait(&id).await,
            Wanted::KillTerminal(id) => self.terminals.kill(&id),
            Wanted::ReleaseTerminal(id) => self.terminals.release(&id),
        }
    }

    fn root(&self) -> Result<PathBuf, RpcError> {
        let message = "the session works in no worktree".to_owned();
        self.root.clone().ok_or(RpcError { code: INVALID_PARAMS, message })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let lost = |_| Err(RpcError { code: INTERNAL, message: "the work broke off".to_owned() });
    tokio::task::spawn_blocking(work).await.unwrap_or_else(lost)
}
