//! The arguments of a command: one JSON object, bare texts, or nothing.

use std::sync::Arc;

use podium_protocol::WireError;
use serde_json::{Map, Value};

use super::OWN;
use crate::methods;
use crate::state::State;

/// A command as it was called.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) command: String,
    /// The protocol's method; empty for a command of the language server's own.
    pub(crate) method: &'static str,
    pub(crate) params: Map<String, Value>,
    /// A person is at the keyboard and sees messages: called with bare texts, with nothing, or from a code action.
    pub(crate) interactive: bool,
    /// Called with nothing at all: the person is asked even where the daemon would know a default.
    pub(crate) bare: bool,
    /// Whether to open the result in the editor.
    pub(crate) open: Option<bool>,
    /// What the person worked on when the command arrived.
    pub(crate) current: Option<String>,
}

/// Parameters that bare texts stand for, in order.
fn positional(method: &str) -> &'static [&'static str] {
    match method {
        "worktree/create" => &["name", "type"],
        "worktree/status" | "worktree/switch" | "worktree/remove" | "worktree/merge" | "worktree/close" => {
            &["name"]
        }
        "worktree/review" | "review/push" | "review/suggestions" => &["number"],
        "claim/acquire" | "claim/release" | "claim/verify" => &["worktree", "agentId"],
        "session/start" => &["prompt", "worktree"],
        "session/resume" => &["id", "prompt"],
        "worktree/undo" | "session/cancel" | "session/show" | "artifact/get" => &["id"],
        "session/rewind" => &["id", "to"],
        "session/fork" => &["id", "at"],
        "session/list" | "artifact/search" => &["query"],
        "inbox/answer" => &["id", "decision"],
        "model/fetch" | "model/verify" | "model/remove" => &["name"],
        _ => &[],
    }
}

impl Call {
    /// # Errors
    /// `user` for an unknown command or arguments of the wrong form.
    pub(crate) fn parse(
        state: &Arc<State>,
        command: String,
        arguments: Vec<Value>,
    ) -> Result<Self, WireError> {
        let method = match methods::commands().find(|m| m.command() == command) {
            Some(info) => info.name,
            None if OWN.contains(&command.as_str()) => "",
            None => {
                let shown: String = command.chars().take(80).collect();
                return Err(WireError::user(format!("unknown command `{shown}`")));
            }
        };
        let (mut params, given) = read(method, &command, arguments)?;
        let asked = params.remove("interactive") == Some(Value::Bool(true));
        let open = params.remove("open").and_then(|open| open.as_bool());
        Ok(Self {
            command,
            method,
            params,
            interactive: asked || given != Given::Object,
            bare: given == Given::Nothing,
            open,
            current: state.current_uri(),
        })
    }

    pub(crate) fn lacks(&self, name: &str) -> bool {
        match self.params.get(name) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(_) => false,
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.params.insert(name.to_owned(), value.into());
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Given {
    Object,
    Texts,
    Nothing,
}

fn read(
    method: &str,
    command: &str,
    arguments: Vec<Value>,
) -> Result<(Map<String, Value>, Given), WireError> {
    let wrong = || {
        WireError::user(format!("`{command}` takes one JSON object")).hint("all of its fields are optional")
    };
    let mut arguments: Vec<Value> = arguments.into_iter().filter(|a| !a.is_null()).map(unquote).collect();
    if arguments.is_empty() {
        return Ok((Map::new(), Given::Nothing));
    }
    if arguments.len() == 1 && arguments[0].is_object() {
        return match arguments.remove(0) {
            Value::Object(params) => Ok((params, Given::Object)),
            _ => Err(wrong()),
        };
    }
    let names = positional(method);
    if arguments.len() > names.len() {
        return Err(wrong());
    }
    let mut params = Map::new();
    for (name, value) in names.iter().zip(arguments) {
        match value {
            Value::String(_) => params.insert((*name).to_owned(), value),
            Value::Number(number) => params.insert((*name).to_owned(), Value::String(number.to_string())),
            _ => return Err(wrong()),
        };
    }
    Ok((params, Given::Texts))
}

/// An editor's command line hands over an object as text.
fn unquote(argument: Value) -> Value {
    match &argument {
        Value::String(text) if text.trim_start().starts_with('{') => match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => object,
            _ => argument,
        },
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given(method: &str, arguments: Value) -> Result<(Value, Given), WireError> {
        let Value::Array(arguments) = arguments else { panic!("an array") };
        read(method, "podium.x", arguments).map(|(params, given)| (Value::Object(params), given))
    }

    #[test]
    fn an_object_a_text_and_nothing_are_understood() {
        for (arguments, params, how) in [
            (json!([{"name": "x"}]), json!({"name": "x"}), Given::Object),
            (json!(["{\"name\": \"x\"}"]), json!({"name": "x"}), Given::Object),
            (json!(["x"]), json!({"name": "x"}), Given::Texts),
            (json!(["x", "fix"]), json!({"name": "x", "type": "fix"}), Given::Texts),
            (json!([42]), json!({"name": "42"}), Given::Texts),
            (json!([]), json!({}), Given::Nothing),
            (json!([null]), json!({}), Given::Nothing),
            (json!(["{broken"]), json!({"name": "{broken"}), Given::Texts),
        ] {
            assert_eq!(given("worktree/create", arguments.clone()).unwrap(), (params, how), "{arguments}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for arguments in [json!([{}, {}]), json!([["x"]]), json!([true]), json!(["a", "b", "c"])] {
            assert!(given("worktree/create", arguments.clone()).is_err(), "{arguments}");
        }
        assert!(given("doctor", json!(["x"])).is_err());
    }

    #[test]
    fn bare_texts_stand_for_parameters_that_exist() {
        for method in methods::commands() {
            let schema = (method.params)(&mut schemars::SchemaGenerator::default());
            let mut generator = schemars::SchemaGenerator::default();
            let _ = (method.params)(&mut generator);
            let text = format!("{:?}{:?}", schema, generator.take_definitions(true));
            for name in positional(method.name) {
                assert!(text.contains(&format!("\"{name}\"")), "{} {name}", method.name);
            }
        }
    }
}
