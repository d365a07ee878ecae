//! `bb publish`.

use std::io::Read;

use podium_protocol::{EventPublish, EventPublishParams, WireError};
use serde_json::Value;

use super::args::PublishArgs;
use super::render;
use crate::context::Context;
use crate::output::{Ending, Failure, usage};

/// Most that is read from standard input, in bytes: well over what an event may hold.
const READ: u64 = 1024 * 1024;

pub(super) async fn publish(context: &Context, args: PublishArgs) -> Ending {
    let params = EventPublishParams {
        id: args.id,
        kind: args.kind,
        subject: args.subject,
        data: data(args.data)?,
        correlation_id: args.correlation,
        causation_id: args.causation,
    };
    let client = context.client()?;
    let published = client.call::<EventPublish>(params).await?;
    let answer = render::published(published);
    context.output.reply(&answer, |paint| render::published_text(&answer, paint))?;
    Ok(0)
}

fn data(option: Option<String>) -> Result<Value, Failure> {
    let Some(text) = option else { return Ok(Value::Object(serde_json::Map::new())) };
    let text = if text == "-" { read(std::io::stdin().lock())? } else { text };
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(Value::Object(fields)),
        Ok(_) => Err(usage("--data is no JSON object", "give an object: --data '{\"key\":\"value\"}'")),
        Err(error) => Err(usage(format!("--data is no JSON: {error}"), "give an object: --data '{\"a\":1}'")),
    }
}

fn read(input: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    input
        .take(READ)
        .read_to_string(&mut text)
        .map_err(|e| WireError::user(format!("standard input cannot be read as text: {e}")))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_an_object_or_a_usage_error() {
        assert_eq!(data(None).unwrap(), serde_json::json!({}));
        assert_eq!(data(Some("{\"a\":1}".into())).unwrap(), serde_json::json!({"a": 1}));
        for text in ["[1]", "{", "", "7"] {
            assert!(matches!(data(Some(text.into())), Err(Failure::Coded(_, 2))), "{text}");
        }
        assert!(read(&[0xff_u8][..]).is_err());
    }
}
