//! Inputs: what a model sent, as the types of the tools; and the schemas of those types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ToolError;

/// The input as an object. Some providers hand on what the model wrote as a text.
pub(super) fn object(input: &Value) -> Result<Value, ToolError> {
    match input {
        Value::Object(_) => Ok(input.clone()),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => Ok(object),
            Ok(other) => Err(ToolError::Input(format!("it is {}, not an object", kind_of(&other)))),
            Err(error) => Err(ToolError::Input(format!("it is not valid JSON: {error}"))),
        },
        other => Err(ToolError::Input(format!("it is {}, not an object", kind_of(other)))),
    }
}

/// The input as the tool's own type.
pub(super) fn read<T: DeserializeOwned>(input: Value) -> Result<T, ToolError> {
    serde_json::from_value(input).map_err(|error| ToolError::Input(error.to_string()))
}

/// The schema of a tool's input, as providers take it: without references and without a title.
pub(super) fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(map) = schema.as_object_mut() {
        map.remove("title");
        map.remove("$schema");
    }
    schema
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
