//! A conversation with an agent as a state machine: lines in, chunks and lines out. All of it is stored with how far the
//! agent's output was read, so a new daemon goes on in the middle.

use std::collections::BTreeMap;
use std::path::Path;

use podium_protocol::Usage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::schema::{self, Incoming, RpcError, Stop, Told, ToolNews, Wanted};
use crate::provider::{Chunk, ToolCall, ToolResult};

/// Lines in a row that are no protocol, from which on it is no agent.
const MOST_GARBAGE: u32 = 1_000;
/// Ids of our requests.
const INITIALIZE: u64 = 1;
const OPEN: u64 = 2;
const PROMPT: u64 = 3;

/// What is stored of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Talk {
    step: Step,
    /// The agent's own id of the session; kept over turns.
    pub(super) session: Option<String>,
    /// Lines for the agent by their rising numbers, as far as they may not have reached it.
    pub(super) outbox: BTreeMap<u64, String>,
    /// The last number.
    written: u64,
    /// Requests of the agent without an answer.
    pub(super) asked: Vec<Asked>,
    tools: BTreeMap<String, Tool>,
    plan: Vec<(String, String)>,
    garbage: u32,
    usage: Usage,
    /// US dollars, where the agent says.
    #[serde(default)]
    cost: Option<f64>,
    pub(super) end: Option<End>,
    /// Something of the answer was told.
    pub(super) spoke: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    #[default]
    Begin,
    Initializing,
    Creating,
    /// What an agent says while it loads a session was told already.
    Loading,
    Prompting,
    Over,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tool {
    title: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    paths: Vec<std::path::PathBuf>,
    input: Value,
    text: String,
    diffs: Vec<Value>,
    told: bool,
    over: bool,
}

/// How a conversation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Complete,
    Bound,
    Refused,
    Cancelled,
    Failed(String),
    /// Somebody has to do something first.
    Needs(String),
}

/// What a turn is about.
pub(super) struct Topic<'a> {
    pub(super) cwd: &'a Path,
    /// For an agent that knows the conversation, and for one that does not.
    pub(super) prompt: &'a str,
    pub(super) with_history: &'a str,
    pub(super) version: &'a str,
}

impl Talk {
    pub(super) fn next_turn(&self) -> Self {
        Self { spoke: false, ..self.anew() }
    }

    /// The same turn with another run of the agent.
    pub(super) fn anew(&self) -> Self {
        Self { session: self.session.clone(), spoke: self.spoke, ..Self::default() }
    }

    pub(super) fn begin(&mut self, topic: &Topic<'_>) {
        if self.step == Step::Begin {
            self.step = Step::Initializing;
            self.write(schema::initialize(INITIALIZE, topic.version));
        }
    }

    /// Whether the agent owes us an answer that takes no thinking.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.step, Step::Initializing | Step::Creating | Step::Loading)
    }

    /// Whether it ended in a way that another attempt may mend.
    pub(super) fn is_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed(_) | End::Needs(_) | End::Cancelled))
    }

    /// Lines that the agent has for certain need not be kept.
    pub(super) fn reached(&mut self, number: u64) {
        self.outbox.retain(|later, _| *later > number);
    }

    fn write(&mut self, line: String) {
        self.written += 1;
        self.outbox.insert(self.written, line);
    }

    pub(super) fn cancel(&mut self) {
        if let (Step::Prompting, Some(session)) = (self.step, self.session.clone()) {
            self.write(schema::cancel(&session));
        }
    }

    /// Gives the agent what it asked for.
    pub(super) fn answer(&mut self, id: &Value, result: &Result<Value, RpcError>) {
        self.asked.retain(|asked| asked.id != *id);
        self.write(schema::answer(id, result));
    }

    pub(super) fn read(&mut self, line: &[u8], topic: &Topic<'_>, chunks: &mut Vec<Chunk>) {
        if line.iter().all(u8::is_ascii_whitespace) || self.end.is_some() {
            return;
        }
        let Some(message) = schema::incoming(line) else {
            tracing::debug!(bytes = line.len(), "a line of an agent is no JSON-RPC");
            self.garbage += 1;
            if self.garbage > MOST_GARBAGE {
                self.end = Some(End::Failed("what it writes is not the Agent Client Protocol".to_owned()));
            }
            return;
        };
        self.garbage = 0;
        match message {
            Incoming::Request { id, method, params } => {
                // The call that a person is asked about is told before the question.
                let mut params = params;
                if let Ok(Wanted::Permission(permission)) = schema::wanted(&method, &params) {
                    let call = permission.tool.id.clone();
                    self.tool(permission.tool, chunks);
                    self.complete(&call, &mut params["toolCall"]);
                }
                self.asked.push(Asked { id, method, params });
            }
            Incoming::Notification { method, params } if schema::is_update(&method) => {
                if self.step == Step::Prompting && self.is_of_this_session(&params) {
                    self.told(schema::told(&params), chunks);
                }
            }
            Incoming::Notification { method, .. } => {
                tracing::debug!(method, "an agent's notification is left out")
            }
            Incoming::Answer { id, result } => self.answered(id.as_u64(), result, topic, chunks),
        }
    }

    /// An agent may have more sessions than the one that is spoken with.
    fn is_of_this_session(&self, params: &Value) -> bool {
        params["sessionId"].as_str().is_none_or(|id| self.session.as_deref() == Some(id))
    }

    /// What was told of a call before goes with the question about it.
    fn complete(&self, call: &str, asked: &mut Value) {
        let (Some(tool), Value::Object(asked)) = (self.tools.get(call), asked) else { return };
        let mut add = |key: &str, value: &Value| {
            if !value.is_null() && asked.get(key).is_none_or(Value::is_null) {
                asked.insert(key.to_owned(), value.clone());
            }
        };
        add("rawInput", &tool.input);
        add("kind", &json!(tool.kind));
        let places: Vec<Value> = tool.paths.iter().map(|path| json!({ "path": path })).collect();
        if !places.is_empty() {
            add("locations", &Value::Array(places));
        }
    }

    /// Answers that nobody waits for are left out.
    fn answered(
        &mut self,
        id: Option<u64>,
        result: Result<Value, RpcError>,
        topic: &Topic<'_>,
        chunks: &mut Vec<Chunk>,
    ) {
        let done = match (self.step, id) {
            (Step::Initializing, Some(INITIALIZE)) => self.initialized(result, topic),
            (Step::Creating, Some(OPEN)) => match result {
                Ok(result) => schema::session_made(&result).map_err(End::Failed).map(|session| {
                    self.session = Some(session);
                    self.prompt(topic.with_history);
                }),
                Err(error) => Err(failed(error)),
            },
            (Step::Loading, Some(OPEN)) => {
                match result {
                    Ok(_) => self.prompt(topic.prompt),
                    // It may have forgotten it: a new one is told the conversation.
                    Err(error) => {
                        tracing::info!(error.message, "an agent cannot load its session; it gets a new one");
                        self.create(topic);
                    }
                }
                Ok(())
            }
            (Step::Prompting, Some(PROMPT)) => {
                self.step = Step::Over;
                match result {
                    Ok(result) => self.stopped(result, chunks),
                    Err(error) => Err(failed(error)),
                }
            }
            _ => {
                tracing::debug!(?id, "an agent answers what was not asked");
                Ok(())
            }
        };
        if let Err(end) = done {
            self.end = Some(end);
        }
    }

    fn initialized(&mut self, result: Result<Value, RpcError>, topic: &Topic<'_>) -> Result<(), End> {
        let said = schema::initialized(&result.map_err(failed)?).map_err(End::Failed)?;
        if !said.sign_in.is_empty() {
            tracing::debug!(ways = ?said.sign_in, "an agent can be signed in to");
        }
        match self.session.clone().filter(|_| said.loads_sessions) {
            Some(session) => {
                self.step = Step::Loading;
                self.write(schema::load_session(OPEN, &session, topic.cwd));
            }
            None => self.create(topic),
        }
        Ok(())
    }

    fn create(&mut self, topic: &Topic<'_>) {
        self.step = Step::Creating;
        self.write(schema::new_session(OPEN, topic.cwd));
    }

    fn prompt(&mut self, text: &str) {
        self.step = Step::Prompting;
        let session = self.session.clone().unwrap_or_default();
        self.write(schema::prompt(PROMPT, &session, text));
    }

    fn stopped(&mut self, result: Value, chunks: &mut Vec<Chunk>) -> Result<(), End> {
        let (stop, used) = schema::stopped(&result).map_err(End::Failed)?;
        if let Some((input, output)) = used {
            (self.usage.input_tokens, self.usage.output_tokens) = (input, output);
        }
        self.usage.cost_usd = self.cost;
        chunks.push(Chunk::Usage(self.usage.clone()));
        self.end = Some(match stop {
            Stop::Over => End::Complete,
            Stop::Bound => End::Bound,
            Stop::Refused => End::Refused,
            Stop::Cancelled => End::Cancelled,
        });
        Ok(())
    }

    fn told(&mut self, told: Told, chunks: &mut Vec<Chunk>) {
        match told {
            Told::Text(text) if !text.is_empty() => chunks.push(Chunk::Text { text, tokens: Vec::new() }),
            Told::Thought(text) if !text.is_empty() => chunks.push(Chunk::Thinking(text)),
            Told::Tool(news) => self.tool(news, chunks),
            Told::Plan(plan) if plan != self.plan => {
                chunks.push(Chunk::Thinking(plan_text(&plan)));
                chunks.push(Chunk::ThoughtEnd { signature: None });
                self.plan = plan;
            }
            Told::Used { cost, context } => {
                self.cost = cost.or(self.cost);
                if let Some((used, window)) = context {
                    chunks.push(Chunk::Context { used, window });
                }
            }
            Told::Text(_) | Told::Thought(_) | Told::Plan(_) | Told::Nothing => return,
        }
        self.spoke = true;
    }

    /// A call is one item when it begins and one when it is over, however often it is told of in between.
    fn tool(&mut self, news: ToolNews, chunks: &mut Vec<Chunk>) {
        let tool = self.tools.entry(news.id.clone()).or_default();
        tool.title = news.title.unwrap_or(std::mem::take(&mut tool.title));
        tool.input = news.input.unwrap_or(std::mem::take(&mut tool.input));
        tool.text = news.text.unwrap_or(std::mem::take(&mut tool.text));
        tool.kind = news.kind.or(tool.kind.take());
        if !news.paths.is_empty() {
            tool.paths = news.paths;
        }
        if !news.diffs.is_empty() {
            tool.diffs = news.diffs;
        }
        if !std::mem::replace(&mut tool.told, true) {
            let input = if tool.input.is_null() { json!({}) } else { tool.input.clone() };
            let (id, name) = (news.id.clone(), tool.title.clone());
            chunks.push(Chunk::ToolCall(ToolCall { id, name, input }));
        }
        if let Some(is_error) = news.over.filter(|_| !tool.over) {
            tool.over = true;
            let data = (!tool.diffs.is_empty()).then(|| json!({ "diffs": tool.diffs }));
            chunks.push(Chunk::ToolResult(ToolResult {
                id: news.id,
                text: tool.text.clone(),
                is_error,
                data,
            }));
        }
    }
}

fn plan_text(plan: &[(String, String)]) -> String {
    let entry = |(content, status): &(String, String)| {
        let mark = match status.as_str() {
            "completed" => "x",
            "in_progress" => "~",
            _ => " ",
        };
        format!("- [{mark}] {content}")
    };
    format!("Plan:\n{}\n", plan.iter().map(entry).collect::<Vec<_>>().join("\n"))
}

fn failed(error: RpcError) -> End {
    if error.code == schema::AUTH_REQUIRED {
        return End::Needs(format!("it wants to be signed in to first: {}", error.message));
    }
    End::Failed(error.message)
}
