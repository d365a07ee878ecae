//! What an agent asks of us: permission, files, terminals. Files and terminals are under the same rules as the tools of a
//! bare model; what was allowed by a question just before is not asked about again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::asks::{self, Question, Watch};
use super::schema::{self, INTERNAL, INVALID_PARAMS, NewTerminal, Permission, RpcError, Wanted};
use super::talk::Asked;
use super::terminals::Terminals;
use crate::Env;
use crate::child::Room;
use crate::hub::TurnLink;
use crate::permission::Undecided;
use crate::provider::{Chunk, Turn};
use crate::tools::{ToolContext, ToolError, served};

/// Serves one turn's agent.
pub(super) struct Server {
    /// Names the start of the agent.
    run: String,
    root: Option<PathBuf>,
    env: Env,
    room: Room,
    terminals: Terminals,
    watch: Watch,
    link: TurnLink,
    /// What was allowed in this turn.
    allowed: Mutex<HashSet<Allowed>>,
}

/// An answer holds for what was asked about, and for no more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Allowed {
    Command(String),
    Read(PathBuf),
    Write(PathBuf),
}

/// An answer, and what the transcript tells of it.
pub(super) struct Served {
    pub(super) id: Value,
    pub(super) result: Result<Value, RpcError>,
    pub(super) chunks: Vec<Chunk>,
}

impl Server {
    pub(super) fn new(turn: &Turn, run: &str, room: Room, watch: Watch) -> Self {
        Self {
            run: run.to_owned(),
            root: turn.worktree.clone(),
            env: turn.env.clone(),
            room,
            terminals: Terminals::default(),
            watch,
            link: turn.link.clone(),
            allowed: Mutex::default(),
        }
    }

    pub(super) async fn serve(self: Arc<Self>, asked: Asked) -> Served {
        let Asked { id, method, params } = asked;
        let _busy = self.link.busy();
        let mut chunks = Vec::new();
        let result = match schema::wanted(&method, &params) {
            Ok(Wanted::Permission(permission)) => Ok(self.permission(&id, &permission, &mut chunks).await),
            Ok(wanted) => self.provide(&id, wanted, &mut chunks).await,
            Err(error) => Err(error),
        };
        Served { id, result, chunks }
    }

    async fn permission(&self, id: &Value, permission: &Permission, chunks: &mut Vec<Chunk>) -> Value {
        let tool = &permission.tool;
        let input = tool.input.clone().unwrap_or_default();
        let command = command_of(&input);
        let ours = tool_of(tool.kind.as_deref(), command.is_some(), !tool.diffs.is_empty());
        let access = access_of(ours, tool.kind.as_deref());
        let question = Question {
            key: asks::key(&self.run, &[&tool.id, &id.to_string(), &permission.question], &input),
            tool: ours.to_owned(),
            summary: permission.question.clone(),
            detail: tool.text.clone().or_else(|| (!input.is_null()).then(|| input.to_string())),
            command: command.clone(),
            paths: tool.paths.clone(),
        };
        match self.watch.decide(question).await {
            Ok(decision) => {
                chunks.push(self.watch.item(&decision));
                if decision.allowed {
                    let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
                    allowed.extend(command.map(Allowed::Command));
                    if let Some(access) = access {
                        allowed.extend(tool.paths.iter().map(|path| access(self.below(path))));
                    }
                }
                permission.outcome(Some(decision.allowed))
            }
            Err(Undecided::Stopped) => permission.outcome(None),
            Err(Undecided::Failed(error)) => {
                let data = json!({ "decision": "deny", "why": error.to_string() });
                let text = format!("denied: {} ({error})", permission.question);
                chunks.push(Chunk::Permission { text, data });
                permission.outcome(Some(false))
            }
        }
    }

    async fn provide(&self, id: &Value, wanted: Wanted, chunks: &mut Vec<Chunk>) -> Result<Value, RpcError> {
        match wanted {
            Wanted::Permission(_) => Ok(Value::Null),
            Wanted::Read { path, line, limit } => {
                let ctx = self.file(id, "read_file", Allowed::Read, &path, chunks).await?;
                let path = path.to_string_lossy().into_owned();
                let text = blocking(move || served::read_text(&ctx, &path, line, limit)).await?;
                Ok(json!({ "content": text }))
            }
            Wanted::Write { path, content } => {
                let ctx = self.file(id, "write_file", Allowed::Write, &path, chunks).await?;
                let path = path.to_string_lossy().into_owned();
                blocking(move || served::write_text(&ctx, &path, &content)).await?;
                Ok(json!({}))
            }
            Wanted::CreateTerminal(asked) => self.terminal(id, &asked, chunks).await,
            Wanted::TerminalOutput(id) => self.terminals.output(&id),
            Wanted::WaitForTerminal(id) => self.terminals.wait(&id).await,
            Wanted::KillTerminal(id) => self.terminals.kill(&id),
            Wanted::ReleaseTerminal(id) => self.terminals.release(&id),
        }
    }

    /// Where the tool may open the file, once it is permitted.
    async fn file(
        &self,
        id: &Value,
        tool: &str,
        access: fn(PathBuf) -> Allowed,
        path: &Path,
        chunks: &mut Vec<Chunk>,
    ) -> Result<ToolContext, RpcError> {
        self.root()?;
        let shown = path.display().to_string();
        let verb = if tool == "read_file" { "read" } else { "write" };
        let question = Question {
            key: asks::key(&self.run, &[tool, &id.to_string()], &json!(shown)),
            tool: tool.to_owned(),
            summary: format!("{verb} {shown}"),
            paths: vec![path.to_owned()],
            ..Question::default()
        };
        self.permitted(question, &access(self.below(path)), chunks).await?;
        Ok(self.watch.context(tool))
    }

    async fn terminal(
        &self,
        id: &Value,
        asked: &NewTerminal,
        chunks: &mut Vec<Chunk>,
    ) -> Result<Value, RpcError> {
        let root = self.root()?;
        asked.check_env()?;
        let (ctx, below) = (self.watch.context("run_command"), asked.cwd.clone());
        let folder = match below {
            None => PathBuf::new(),
            Some(below) => blocking(move || served::folder(&ctx, &below.to_string_lossy())).await?,
        };
        let line = asked.line();
        let (mut summary, mut detail, mut known) = (asked.summary(), line.clone(), line.clone());
        if !folder.as_os_str().is_empty() {
            // The same line does something else in another folder: what was allowed for the root does not cover it.
            let place = folder.display();
            summary.push_str(&format!(" in {place}"));
            detail.push_str(&format!("\nin the folder {place}"));
            known.push_str(&format!("\0{place}"));
        }
        let question = Question {
            key: asks::key(&self.run, &["terminal", &id.to_string()], &json!(known)),
            tool: "run_command".to_owned(),
            summary,
            detail: Some(detail),
            command: Some(line),
            ..Question::default()
        };
        self.permitted(question, &Allowed::Command(known), chunks).await?;
        self.terminals.create(&root, &folder, asked, &self.env, &self.room).await
    }

    async fn permitted(
        &self,
        question: Question,
        known: &Allowed,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), RpcError> {
        if self.allowed.lock().unwrap_or_else(PoisonError::into_inner).contains(known) {
            return Ok(());
        }
        let decision = self.watch.decide(question).await;
        let decision = decision.map_err(|error| RpcError { code: INTERNAL, message: error.to_string() })?;
        if asks::is_told(&decision) {
            chunks.push(self.watch.item(&decision));
        }
        if decision.allowed {
            return Ok(());
        }
        Err(RpcError { code: INVALID_PARAMS, message: decision.refusal() })
    }

    /// The path by its name below the root.
    fn below(&self, path: &Path) -> PathBuf {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        path.strip_prefix(root).unwrap_or(path).to_owned()
    }

    fn root(&self) -> Result<PathBuf, RpcError> {
        let message = "the session works in no worktree".to_owned();
        self.root.clone().ok_or(RpcError { code: INVALID_PARAMS, message })
    }
}

/// The tool of ours that does what an agent's tool of this kind does.
fn tool_of(kind: Option<&str>, command: bool, diffs: bool) -> &'static str {
    match kind {
        _ if command => "run_command",
        Some("execute") => "run_command",
        Some("edit" | "delete" | "move") => "edit_file",
        _ if diffs => "edit_file",
        Some("read") => "read_file",
        Some("search") => "search",
        Some("fetch") => "network",
        _ => "other",
    }
}

/// What an allowed call lets the agent have us do with its files. A tool that says nothing of what it does covers nothing, and
/// who lets a file go does not let it be another one.
fn access_of(tool: &str, kind: Option<&str>) -> Option<fn(PathBuf) -> Allowed> {
    match (tool, kind) {
        ("read_file", _) => Some(Allowed::Read),
        ("edit_file", Some("delete" | "move")) => None,
        ("edit_file", _) => Some(Allowed::Write),
        _ => None,
    }
}

fn command_of(input: &Value) -> Option<String> {
    match &input["command"] {
        Value::String(line) => Some(line.clone()),
        Value::Array(words) => {
            let words = words.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?;
            shlex::try_join(words).ok()
        }
        _ => None,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
) -> Result<T, RpcError> {
    let lost = |_| Err(ToolError::Failed("the work broke off".to_owned()));
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(lost);
    done.map_err(|error| RpcError { code: INVALID_PARAMS, message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_tools_are_judged_as_ours_and_a_command_is_one_whatever_it_is_called() {
        assert_eq!(tool_of(Some("read"), true, false), "run_command");
        assert_eq!(tool_of(Some("read"), false, true), "edit_file");
        assert_eq!(tool_of(Some("delete"), false, false), "edit_file");
        assert_eq!(tool_of(Some("fetch"), false, false), "network");
        assert_eq!(tool_of(None, false, false), "other");
        let access = |tool, kind| access_of(tool, kind).map(|access| access("a".into()));
        assert_eq!(access("read_file", Some("read")), Some(Allowed::Read("a".into())));
        assert_eq!(access("edit_file", Some("edit")), Some(Allowed::Write("a".into())));
        assert_eq!(access("edit_file", Some("delete")), None);
        assert_eq!(access("other", None), None);
        assert_eq!(access("run_command", Some("read")), None);
        assert_eq!(command_of(&json!({"command": ["rm", "a b"]})).as_deref(), Some("rm 'a b'"));
        assert_eq!(command_of(&json!({"command": ["rm", 1]})), None);
    }
}
