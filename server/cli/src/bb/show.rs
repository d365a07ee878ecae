//! `bb show` and `bb types`.

use podium_protocol::{CloudEvent, EventGet, EventGetParams, EventTypesMethod, EventTypesParams, WireError};
use serde::Serialize;

use super::render;
use crate::context::Context;
use crate::output::Ending;

/// Answer of `bb show`.
#[derive(Debug, Serialize)]
struct Shown {
    event: CloudEvent,
}

pub(super) async fn event(context: &Context, id: String) -> Ending {
    let client = context.client()?;
    let found = client.call::<EventGet>(EventGetParams { id }).await?;
    let shown = Shown { event: found.event.into() };
    context.output.reply(&shown, |_| crate::style::printable(&render::event_in_full(&shown.event)))?;
    Ok(0)
}

pub(super) async fn types(context: &Context, kind: Option<String>) -> Ending {
    let client = context.client()?;
    let mut answer = client.call::<EventTypesMethod>(EventTypesParams {}).await?;
    let Some(kind) = kind else {
        context.output.reply(&answer, |paint| render::types(&answer.types, paint))?;
        return Ok(0);
    };
    answer.types.retain(|known| known.kind == kind);
    let Some(known) = answer.types.first() else {
        let text =
            format!("no type `{}` is known, and the log has no event of it", crate::style::one_line(&kind));
        return Err(WireError::not_found(text).hint("`bb types` lists them").into());
    };
    context.output.reply(&answer, |paint| {
        let schema = known.schema.as_ref().and_then(|schema| serde_json::to_string_pretty(schema).ok());
        format!("{}\n{}", render::types(&answer.types, paint), schema.unwrap_or_default())
    })?;
    Ok(0)
}
