//! What a node is given: the values at its ports, else its params, with `{{name}}` filled in.

use std::collections::BTreeMap;

use podium_melody::template::{Quoting, as_text, render};
use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use serde_json::{Map, Value};

use super::Bench;
use super::bench::artifact_of;

/// The arguments of one call. Texts that lie in the artifact store are here whole.
pub(in crate::pit) struct Arguments<'a> {
    call: &'a NodeCall,
    inputs: Map<String, Value>,
}

impl<'a> Arguments<'a> {
    pub(super) async fn of(bench: &Bench, call: &'a NodeCall) -> Result<Self, NodeError> {
        let mut inputs = call.inputs.clone();
        for value in inputs.values_mut() {
            if let Some(id) = artifact_of(value) {
                *value = bench.load(id).await?;
            }
        }
        Ok(Self { call, inputs })
    }

    /// The value of an argument, filled in.
    pub(super) fn value(&self, name: &str) -> Result<Option<Value>, NodeError> {
        if let Some(value) = self.inputs.get(name).filter(|value| !value.is_null()) {
            return Ok(Some(value.clone()));
        }
        self.call.work.params.get(name).map(|value| self.filled(value, Quoting::Plain)).transpose()
    }

    /// All that is there under the name of a port.
    pub(super) fn inputs(&self) -> &Map<String, Value> {
        &self.inputs
    }

    /// What a template may name: the inputs of the node, then those of the run.
    pub(super) fn named(&self, name: &str) -> Option<Value> {
        self.inputs.get(name).or_else(|| self.call.run_inputs.get(name)).cloned()
    }

    pub(super) fn text(&self, name: &str) -> Result<String, NodeError> {
        self.optional_text(name)?.ok_or_else(|| bad(format!("`{name}` is missing")))
    }

    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, NodeError> {
        match self.value(name)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(format!("`{name}` is no text"))),
        }
    }

    /// A text as it is; anything else as people read it: JSON, with a list of texts a line each.
    pub(super) fn printed(&self, name: &str) -> Result<String, NodeError> {
        let value = self.value(name)?.ok_or_else(|| bad(format!("`{name}` is missing")))?;
        Ok(printed(&value))
    }

    /// One text or a list of them.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, NodeError> {
        let value = self.value(name)?.unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts = match &value {
            Value::Null => Some(Vec::new()),
            Value::Array(values) => values.iter().map(text).collect(),
            other => text(other).map(|text| vec![text]),
        };
        texts.ok_or_else(|| bad(format!("`{name}` is neither a text nor a list of texts")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, NodeError> {
        match self.value(name)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(bad(format!("`{name}` is neither true nor false"))),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, NodeError> {
        let number = |value: Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
        match self.value(name)? {
            None => Ok(None),
            Some(value) => number(value).map(Some).ok_or_else(|| bad(format!("`{name}` is no number"))),
        }
    }

    pub(super) fn decimal(&self, name: &str) -> Result<Option<f64>, NodeError> {
        match self.value(name)? {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| bad(format!("`{name}` is no number"))),
        }
    }

    /// A line for a shell: each value that goes into it is one word, whatever it holds.
    pub(super) fn command_line(&self, name: &str) -> Result<String, NodeError> {
        let value = self.call.work.params.get(name).or_else(|| self.inputs.get(name));
        let line = match value {
            Some(value) => self.filled(value, Quoting::Shell)?,
            None => return Err(bad(format!("`{name}` is missing"))),
        };
        match line {
            Value::String(line) if !line.trim().is_empty() && !line.contains('\0') => Ok(line),
            _ => Err(bad(format!("`{name}` is no command line"))),
        }
    }

    /// An address: each value that goes into it is percent-encoded.
    pub(super) fn address(&self, name: &str) -> Result<String, NodeError> {
        let value = self.call.work.params.get(name).ok_or_else(|| bad(format!("`{name}` is missing")))?;
        match self.filled(value, Quoting::Url)? {
            Value::String(address) => Ok(address),
            _ => Err(bad(format!("`{name}` is no address"))),
        }
    }

    /// A table of texts.
    pub(super) fn table(&self, name: &str) -> Result<BTreeMap<String, String>, NodeError> {
        let Some(value) = self.call.work.params.get(name) else { return Ok(BTreeMap::new()) };
        let table = value.as_object().ok_or_else(|| bad(format!("`{name}` is no table")))?;
        let filled = |(key, value)| Ok((String::clone(key), as_text(&self.filled(value, Quoting::Plain)?)));
        table.iter().map(filled).collect()
    }

    fn filled(&self, value: &Value, quoting: Quoting) -> Result<Value, NodeError> {
        Ok(match value {
            Value::String(text) if text.contains("{{") => {
                let filled = render(text, quoting, |name| self.named(name));
                Value::String(filled.map_err(|error| bad(error.to_string()))?)
            }
            Value::Array(values) => {
                let filled: Result<_, _> = values.iter().map(|value| self.filled(value, quoting)).collect();
                Value::Array(filled?)
            }
            other => other.clone(),
        })
    }
}

pub(super) fn bad(message: impl Into<String>) -> NodeError {
    NodeError::new(FailureKind::BadInput, message)
}

/// A value as people read it.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Array(values) if values.iter().all(Value::is_string) => {
            values.iter().map(|value| as_text(value) + "\n").collect()
        }
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
        }
        other => as_text(other),
    }
}
