//! The inputs of a run as a command line gives them: texts, which are JSON where the melody wants something else.

use podium_melody::{Melody, PortType};
use podium_protocol::WireError;
use serde_json::{Map, Value};

/// Bytes of all inputs together.
const MOST: usize = 1024 * 1024;

pub(super) fn typed(melody: &Melody, given: Map<String, Value>) -> Result<Map<String, Value>, WireError> {
    if serde_json::to_string(&given).map_or(usize::MAX, |text| text.len()) > MOST {
        return Err(WireError::usage("the inputs have more than 1 MiB").hint("name files instead"));
    }
    let read = |(name, value): (String, Value)| {
        let value = match melody.inputs.get(&name) {
            Some(input) => read(&name, &input.port_type, value)?,
            None => value,
        };
        Ok((name, value))
    };
    given.into_iter().map(read).collect()
}

fn read(name: &str, wanted: &PortType, value: Value) -> Result<Value, WireError> {
    let Value::String(text) = &value else { return Ok(value) };
    match wanted {
        PortType::Json(Some(kind)) if kind == "string" => Ok(value),
        PortType::Optional(inner) => read(name, inner, value),
        PortType::Json(_) | PortType::List(_) | PortType::Stream(_) => serde_json::from_str(text)
            .map_err(|error| WireError::usage(format!("the input `{name}` is no JSON: {error}"))),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_is_read_as_the_melody_wants_it() {
        let json = PortType::Json(Some("integer".into()));
        assert_eq!(read("n", &json, json!("7")).unwrap(), json!(7));
        assert_eq!(read("n", &PortType::Text, json!("7")).unwrap(), json!("7"));
        let list = PortType::List(Box::new(PortType::Text));
        assert_eq!(read("n", &list, json!(r#"["a"]"#)).unwrap(), json!(["a"]));
        assert_eq!(read("n", &list, json!(["b"])).unwrap(), json!(["b"]));
        assert!(read("n", &json, json!("{")).is_err());
    }
}
