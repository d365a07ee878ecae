//! What is asked for: a tool, and what it would touch.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::tools::{self, ToolCall, ToolContext};

/// Characters of a command in a question.
const SHOWN_COMMAND: usize = 300;

/// What a call of a tool would do, as far as a rule can say something about it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Names the call within its session and stays the same over a restart: the transcript's number of the call, the
    /// provider's id, and what is called. The id alone will not do: some providers begin to count anew with each turn.
    pub key: String,
    /// Name of the tool. Agents with tools of their own bring their names; `network` asks for the network.
    pub tool: String,
    /// Command line for the shell.
    pub command: Option<String>,
    /// Paths relative to the worktree, and also the places where links in them lead.
    pub paths: Vec<PathBuf>,
    /// Why the call can reach nothing: it will be refused, and nobody need be asked.
    pub refused: Option<String>,
    /// One line for a person. Redacted by whoever asks.
    pub summary: String,
    /// What exactly would be done.
    pub detail: Option<String>,
}

impl Request {
    /// What a call of one of our own tools would do. Reads the tree: its links decide what a path means.
    pub(super) async fn of(call: &ToolCall, seq: u64, ctx: &ToolContext) -> Self {
        let input = parsed(&call.input);
        let (asked, command) = (input["path"].as_str().map(str::to_owned), command_of(&input));
        let mut request = Self {
            key: format!("{seq}/{}/{}", call.id, fingerprint(&call.name, &input)),
            tool: call.name.clone(),
            summary: summary(&call.name, asked.as_deref(), command.as_deref()),
            detail: command.clone(),
            command,
            ..Self::default()
        };
        if let Some(path) = asked {
            match tools::real_path(ctx, path.clone()).await {
                Ok(real) => {
                    let normal = |part: &Component<'_>| matches!(part, Component::Normal(_));
                    let given: PathBuf = Path::new(&path).components().filter(normal).collect();
                    // By an absolute path the root is named in another way, which no rule is about.
                    let differs = Path::new(&path).is_relative() && given != real;
                    request.paths.extend([Some(real), differs.then_some(given)].into_iter().flatten());
                    request.paths.retain(|path| !path.as_os_str().is_empty());
                }
                Err(error) => request.refused = error.reason().map(|_| error.to_string()),
            }
        }
        request
    }

    /// What a lasting answer would be about.
    pub(super) fn lasting_path(&self) -> Option<String> {
        self.paths.first().map(|path| path.display().to_string())
    }
}

/// An answer holds for what was asked, and for nothing else under the same number.
fn fingerprint(tool: &str, input: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tool.as_bytes()).update(b"\0").update(input.to_string().as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

fn parsed(input: &Value) -> Value {
    match input {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    }
}

/// The command line, or the words of one.
fn command_of(input: &Value) -> Option<String> {
    match &input["command"] {
        Value::String(line) => Some(line.clone()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            Some(words.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ',' | '+' | '@' | '%')
    };
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn summary(tool: &str, path: Option<&str>, command: Option<&str>) -> String {
    match (tool, path, command) {
        (_, _, Some(command)) => {
            let line = command.lines().next().unwrap_or_default();
            let shown: String = line.chars().take(SHOWN_COMMAND).collect();
            let more = if shown.len() < command.len() { " ..." } else { "" };
            format!("run `{shown}`{more}")
        }
        ("edit_file", Some(path), _) => format!("edit {path}"),
        ("write_file", Some(path), _) => format!("write {path}"),
        ("read_file", Some(path), _) => format!("read {path}"),
        (tool, Some(path), _) => format!("use {tool} on {path}"),
        ("network", ..) => "use the network".to_owned(),
        (tool, ..) => format!("use {tool}"),
    }
}
