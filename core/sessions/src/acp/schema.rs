//! The Agent Client Protocol's messages (version 1, <https://agentclientprotocol.com>), as far as they are used here.
//!
//! The protocol's own crate of types is not taken: it makes every JSON object of the workspace keep the order of its keys,
//! and with that changes what other crates write.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

const PROTOCOL: u64 = 1;

/// A line from the agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    Request { id: Value, method: String, params: Value },
    Notification { method: String, params: Value },
    Answer { id: Value, result: Result<Value, RpcError> },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
}

/// The agent wants its user to sign in.
pub(super) const AUTH_REQUIRED: i64 = -32_000;
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;
pub(super) const INVALID_PARAMS: i64 = -32_602;
pub(super) const INTERNAL: i64 = -32_603;

/// `None` for what is no JSON-RPC.
pub(super) fn incoming(line: &[u8]) -> Option<Incoming> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let id = value.get("id").filter(|id| !id.is_null()).cloned();
    let method = value.get("method").and_then(Value::as_str).map(str::to_owned);
    let params = value.get("params").cloned().unwrap_or_default();
    match (id, method) {
        (Some(id), Some(method)) => Some(Incoming::Request { id, method, params }),
        (None, Some(method)) => Some(Incoming::Notification { method, params }),
        (Some(id), None) => {
            let result = match value.get("error").filter(|error| error.is_object()) {
                Some(error) => Err(rpc_error(error)),
                None => Ok(value.get("result")?.clone()),
            };
            Some(Incoming::Answer { id, result })
        }
        (None, None) => None,
    }
}

fn rpc_error(error: &Value) -> RpcError {
    let mut message = error["message"].as_str().unwrap_or("an error without words").to_owned();
    match &error["data"] {
        Value::Null => {}
        Value::String(more) => message = format!("{message}: {more}"),
        more => message = format!("{message}: {}", more["message"].as_str().unwrap_or(&more.to_string())),
    }
    RpcError { code: error["code"].as_i64().unwrap_or(INTERNAL), message }
}

fn request(id: u64, method: &str, params: &Value) -> String {
    line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

pub(super) fn answer(id: &Value, result: &Result<Value, RpcError>) -> String {
    line(&match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": error.code, "message": error.message } })
        }
    })
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

pub(super) fn initialize(id: u64, version: &str) -> String {
    let params = json!({
        "protocolVersion": PROTOCOL,
        "clientCapabilities": { "fs": { "readTextFile": true, "writeTextFile": true }, "terminal": true },
        "clientInfo": { "name": "podium", "version": version },
    });
    request(id, "initialize", &params)
}

/// What an agent says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Initialized {
    pub(super) loads_sessions: bool,
    /// Names of the ways to sign in.
    pub(super) sign_in: Vec<String>,
}

pub(super) fn initialized(result: &Value) -> Result<Initialized, String> {
    match result["protocolVersion"].as_u64() {
        Some(PROTOCOL) => {}
        Some(other) => return Err(format!("it speaks protocol version {other} only")),
        None => return Err("it does not say which protocol version it speaks".to_owned()),
    }
    let name = |method: &Value| method["name"].as_str().map(str::to_owned);
    Ok(Initialized {
        loads_sessions: result["agentCapabilities"]["loadSession"] == true,
        sign_in: list(&result["authMethods"]).iter().filter_map(name).collect(),
    })
}

pub(super) fn new_session(id: u64, cwd: &Path) -> String {
    request(id, "session/new", &json!({ "cwd": cwd, "mcpServers": [] }))
}

pub(super) fn session_made(result: &Value) -> Result<String, String> {
    let id = result["sessionId"].as_str();
    id.map(str::to_owned).ok_or_else(|| "its new session has no id".to_owned())
}

pub(super) fn load_session(id: u64, session: &str, cwd: &Path) -> String {
    request(id, "session/load", &json!({ "sessionId": session, "cwd": cwd, "mcpServers": [] }))
}

pub(super) fn prompt(id: u64, session: &str, text: &str) -> String {
    let blocks = json!([{ "type": "text", "text": text }]);
    request(id, "session/prompt", &json!({ "sessionId": session, "prompt": blocks }))
}

pub(super) fn cancel(session: &str) -> String {
    line(&json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": { "sessionId": session } }))
}

/// How a prompt's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Over,
    Bound,
    Refused,
    Cancelled,
}

/// The stop, and tokens used as far as the agent tells (input, output).
pub(super) fn stopped(result: &Value) -> Result<(Stop, Option<(u64, u64)>), String> {
    let usage = &result["usage"];
    let used = usage["inputTokens"].as_u64().zip(usage["outputTokens"].as_u64());
    let stop = match result["stopReason"].as_str() {
        Some("max_tokens" | "max_turn_requests") => Stop::Bound,
        Some("refusal") => Stop::Refused,
        Some("cancelled") => Stop::Cancelled,
        Some(_) => Stop::Over,
        None => return Err("it ends a turn without a reason".to_owned()),
    };
    Ok((stop, used))
}

/// What an agent tells while it works.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Text(String),
    Thought(String),
    /// A call of a tool, or news of one.
    Tool(ToolNews),
    Plan(Vec<(String, String)>),
    /// US dollars; tokens of the context, and of the window.
    Used {
        cost: Option<f64>,
        context: Option<(u64, Option<u64>)>,
    },
    Nothing,
}

/// What is new about a call; what is not told is as before.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ToolNews {
    pub(super) id: String,
    pub(super) title: Option<String>,
    /// The protocol's word for what it does: `read`, `edit`, `execute`.
    pub(super) kind: Option<String>,
    /// Files it is about.
    pub(super) paths: Vec<PathBuf>,
    pub(super) input: Option<Value>,
    pub(super) text: Option<String>,
    pub(super) diffs: Vec<Value>,
    /// Set once it is over: whether it failed.
    pub(super) over: Option<bool>,
}

pub(super) fn is_update(method: &str) -> bool {
    method == "session/update"
}

/// Updates of types that are not known say nothing.
pub(super) fn told(params: &Value) -> Told {
    let update = &params["update"];
    match update["sessionUpdate"].as_str() {
        Some("agent_message_chunk") => Told::Text(block_text(&update["content"])),
        Some("agent_thought_chunk") => Told::Thought(block_text(&update["content"])),
        Some("tool_call" | "tool_call_update") => tool_news(update).map_or(Told::Nothing, Told::Tool),
        Some("plan") => {
            let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let entries = list(&update["entries"]).iter();
            Told::Plan(entries.map(|entry| (text(entry, "content"), text(entry, "status"))).collect())
        }
        Some("usage_update") => {
            let cost = update["cost"]["amount"].as_f64().filter(|_| update["cost"]["currency"] == "USD");
            Told::Used { cost, context: update["used"].as_u64().map(|used| (used, update["size"].as_u64())) }
        }
        _ => Told::Nothing,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Fields that are not there, or null, are as before.
fn tool_news(fields: &Value) -> Option<ToolNews> {
    let given = |key: &str| Some(&fields[key]).filter(|value| !value.is_null());
    let content = list(&fields["content"]);
    let texts: Vec<String> = content
        .iter()
        .filter(|part| part["type"] == "content")
        .map(|part| block_text(&part["content"]))
        .filter(|text| !text.is_empty())
        .collect();
    let diff = |part: &Value| json!({ "path": part["path"], "old": part["oldText"], "new": part["newText"] });
    let input = given("rawInput").cloned();
    let named = ["path", "file_path", "abs_path"].into_iter().filter_map(|key| input.as_ref()?[key].as_str());
    let places =
        list(&fields["locations"]).iter().chain(content.iter().filter(|part| part["type"] == "diff"));
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in named.chain(places.filter_map(|place| place["path"].as_str())).map(PathBuf::from) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Some(ToolNews {
        kind: given("kind").and_then(Value::as_str).map(str::to_owned),
        paths,
        id: fields["toolCallId"].as_str()?.to_owned(),
        title: given("title").and_then(Value::as_str).map(str::to_owned),
        input,
        text: match texts.is_empty() {
            true => given("rawOutput").map(raw_text),
            false => Some(texts.join("\n")),
        },
        diffs: content.iter().filter(|part| part["type"] == "diff").map(diff).collect(),
        over: match fields["status"].as_str() {
            Some("completed") => Some(false),
            Some("failed") => Some(true),
            _ => None,
        },
    })
}

fn raw_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn block_text(block: &Value) -> String {
    let text = match block["type"].as_str() {
        Some("text") => &block["text"],
        Some("resource_link") => &block["uri"],
        Some("resource") => &block["resource"]["text"],
        _ => &Value::Null,
    };
    text.as_str().unwrap_or_default().to_owned()
}

/// What an agent asks of its client.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    Permission(Permission),
    Read { path: PathBuf, line: Option<u32>, limit: Option<u32> },
    Write { path: PathBuf, content: String },
    CreateTerminal(NewTerminal),
    TerminalOutput(String),
    WaitForTerminal(String),
    KillTerminal(String),
    ReleaseTerminal(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Permission {
    /// Words for the person who decides.
    pub(super) question: String,
    pub(super) tool: ToolNews,
    /// What to answer when it is allowed once, and when it is refused.
    allow: Option<String>,
    reject: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct NewTerminal {
    pub(super) command: String,
    pub(super) args: Vec<String>,
    /// Sorted.
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: Option<PathBuf>,
    pub(super) limit: Option<u64>,
}

impl NewTerminal {
    /// All that is asked for: the variables, and behind them the command. No pattern of a rule vouches for variables.
    pub(super) fn line(&self) -> String {
        let told = self.env.iter().filter(|(name, value)| !is_quiet(name, value));
        let told = told.map(|(name, value)| {
            let value = shlex::try_quote(value).unwrap_or_default();
            format!("{name}={value} ")
        });
        told.chain([self.plain()]).collect()
    }

    /// For a person, in one line. The command comes first: variables could push it out of sight.
    pub(super) fn summary(&self) -> String {
        let plain = self.plain();
        let mut text = format!("run `{}`", plain.lines().next().unwrap_or_default());
        let names = self.env.iter().filter(|(name, value)| !is_quiet(name, value));
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        if !names.is_empty() {
            text.push_str(&format!(" with {} set", names.join(", ")));
        }
        text
    }

    /// # Errors
    /// Variables by which something else runs than the command that is shown, and names that are none.
    pub(super) fn check_env(&self) -> Result<(), RpcError> {
        let fits =
            |(name, value): &&(String, String)| is_name(name) && !value.contains('\0') && !steers(name);
        match self.env.iter().find(|pair| !fits(pair)) {
            None => Ok(()),
            Some((name, _)) => {
                let shown: String = name.chars().take(80).collect();
                let message = format!("the variable `{}` cannot be set for a command", shown.escape_debug());
                Err(RpcError { code: INVALID_PARAMS, message })
            }
        }
    }

    /// As a shell would be given it: a program with arguments is quoted, one without is a line already.
    fn plain(&self) -> String {
        if self.args.is_empty() {
            return self.command.clone();
        }
        let words = [&self.command].into_iter().chain(&self.args).map(String::as_str);
        shlex::try_join(words).unwrap_or_else(|_| format!("{} {}", self.command, self.args.join(" ")))
    }
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// Whether a variable has the loader, the shell, git or our own programs do something else.
fn steers(name: &str) -> bool {
    const NAMES: &[&str] = &["PATH", "HOME", "IFS", "ENV", "SHELLOPTS", "PS4", "GCONV_PATH"];
    const BEGINNINGS: &[&str] = &["LD_", "DYLD_", "BASH", "GIT_", "PODIUM_"];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Marks that agents give to all of their commands: how output looks, and who runs it. To show them would make each command
/// another one than the person's rules name.
fn is_quiet(name: &str, value: &str) -> bool {
    const NAMES: &[&str] =
        &["CLAUDECODE", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"];
    NAMES.contains(&name) && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// # Errors
/// An unknown method, or parameters that are none.
pub(super) fn wanted(method: &str, params: &Value) -> Result<Wanted, RpcError> {
    let text = |key: &str| {
        let missing = || RpcError { code: INVALID_PARAMS, message: format!("`{key}` is missing") };
        params[key].as_str().map(str::to_owned).ok_or_else(missing)
    };
    let count = |key: &str| params[key].as_u64().and_then(|number| u32::try_from(number).ok());
    let wanted = match method {
        "session/request_permission" => permission(params)?,
        "fs/read_text_file" => {
            Wanted::Read { path: text("path")?.into(), line: count("line"), limit: count("limit") }
        }
        "fs/write_text_file" => Wanted::Write { path: text("path")?.into(), content: text("content")? },
        "terminal/create" => {
            let words = |value: &Value| value.as_str().map(str::to_owned);
            let pair = |value: &Value| words(&value["name"]).zip(words(&value["value"]));
            Wanted::CreateTerminal(NewTerminal {
                command: text("command")?,
                args: list(&params["args"]).iter().filter_map(words).collect(),
                env: {
                    let mut env: Vec<_> = list(&params["env"]).iter().filter_map(pair).collect();
                    env.sort();
                    env
                },
                cwd: params["cwd"].as_str().map(PathBuf::from),
                limit: params["outputByteLimit"].as_u64(),
            })
        }
        "terminal/output" => Wanted::TerminalOutput(text("terminalId")?),
        "terminal/wait_for_exit" => Wanted::WaitForTerminal(text("terminalId")?),
        "terminal/kill" => Wanted::KillTerminal(text("terminalId")?),
        "terminal/release" => Wanted::ReleaseTerminal(text("terminalId")?),
        _ => {
            return Err(RpcError {
                code: METHOD_NOT_FOUND,
                message: format!("there is no method `{method}`"),
            });
        }
    };
    Ok(wanted)
}

fn permission(params: &Value) -> Result<Wanted, RpcError> {
    let options = list(&params["options"]);
    let find = |kinds: [&str; 2]| {
        let option = kinds.iter().find_map(|kind| options.iter().find(|option| option["kind"] == *kind));
        option.and_then(|option| option["optionId"].as_str()).map(str::to_owned)
    };
    let allow = find(["allow_once", "allow_always"]);
    let reject = find(["reject_once", "reject_always"]);
    let missing = || RpcError { code: INVALID_PARAMS, message: "`toolCall` is missing".to_owned() };
    let tool = tool_news(&params["toolCall"]).ok_or_else(missing)?;
    let question = tool.title.clone().unwrap_or_else(|| format!("tool call {}", tool.id));
    Ok(Wanted::Permission(Permission { question, tool, allow, reject }))
}

impl Permission {
    /// What the agent is answered; without a decision the question counts as withdrawn.
    pub(super) fn outcome(&self, allowed: Option<bool>) -> Value {
        let option = match allowed {
            Some(true) => &self.allow,
            Some(false) => &self.reject,
            None => &None,
        };
        match option {
            Some(id) => json!({ "outcome": { "outcome": "selected", "optionId": id } }),
            None => json!({ "outcome": { "outcome": "cancelled" } }),
        }
    }
}
