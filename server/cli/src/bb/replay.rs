//! `bb replay`: a part of the log once more.

use podium_client::Client;
use podium_protocol::{
    ErrorKind, Event, EventPublish, EventPublishParams, EventPublisher, EventTypesMethod, EventTypesParams,
};
use serde::Serialize;

use super::args::ReplayArgs;
use super::tail::{Form, print, read};
use crate::context::Context;
use crate::output::{Ending, Failure, usage};

/// The last line.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct End {
    #[serde(rename = "type")]
    kind: &'static str,
    last_seq: u64,
    events: u64,
    published: u64,
    /// Tasks that were assigned before.
    duplicates: u64,
    /// The daemon's own, which nobody publishes.
    skipped: u64,
    /// Refused today: too large, or of another shape than then.
    refused: u64,
}

pub(super) async fn replay(context: &Context, args: ReplayArgs) -> Ending {
    if args.to_seq.is_some_and(|to| to < args.from_seq) {
        return Err(usage("the last event comes before the first", "--from-seq A --to-seq B, A at most B"));
    }
    let client = context.client()?;
    let mut chosen = Vec::new();
    let mut end = End { kind: "end", ..End::default() };
    // Behind the event before the first one.
    let from = args.from_seq.saturating_sub(1);
    end.last_seq = read(&client, from, args.to_seq, args.types, |event| {
        end.events += 1;
        if args.publish {
            chosen.push(event.clone());
        }
        print(&context.output, event, Form::Cloud)
    })
    .await?;
    if args.publish {
        publish(context, &client, chosen, &mut end).await?;
    }
    if context.output.is_json() {
        context.output.line(&end)?;
    } else if args.publish {
        let End { events, published, duplicates, skipped, refused, .. } = end;
        context.output.note(&format!(
            "of {events}: {published} published again, {duplicates} tasks known already, {skipped} told by podium \
             itself, {refused} refused"
        ));
    }
    Ok(0)
}

async fn publish(
    context: &Context,
    client: &Client,
    events: Vec<Event>,
    end: &mut End,
) -> Result<(), Failure> {
    let types = client.call::<EventTypesMethod>(EventTypesParams {}).await?.types;
    let of_daemon = |event: &Event| {
        types.iter().any(|kind| kind.kind == event.kind && kind.publisher == EventPublisher::Daemon)
    };
    for event in events {
        if of_daemon(&event) {
            end.skipped += 1;
            continue;
        }
        let params = EventPublishParams {
            id: None,
            kind: event.kind,
            subject: event.subject,
            data: event.data,
            correlation_id: event.correlation_id,
            causation_id: Some(event.id),
        };
        match client.call::<EventPublish>(params).await {
            Ok(answer) if answer.duplicate => end.duplicates += 1,
            Ok(_) => end.published += 1,
            Err(error)
                if matches!(error.kind, ErrorKind::User | ErrorKind::Conflict | ErrorKind::NotFound) =>
            {
                end.refused += 1;
                context.output.note(&format!("{}: {}", event.seq, error.message));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
