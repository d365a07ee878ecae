//! `bb tail`: the log, stored and live.

use podium_client::{Client, EventStream};
use podium_protocol::{CloudEvent, Event, EventsRead, EventsReadParams, WireError};
use serde::Serialize;

use super::args::TailArgs;
use super::render;
use crate::context::Context;
use crate::interrupt::Interrupts;
use crate::output::{Ending, Failure, Output};

/// Events asked for in one page.
const PAGE: u32 = 1000;

/// How `--json` has events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As CloudEvents, for whoever reads those of any other source.
    Cloud,
    /// As the protocol's own answers have them.
    Wire,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<E> {
    Event {
        event: E,
    },
    End {
        #[serde(rename = "lastSeq")]
        last_seq: u64,
    },
}

/// Prints the log as asked.
///
/// # Errors
/// What the daemon answers, or a closed standard output.
pub async fn tail(context: &Context, args: TailArgs, form: Form) -> Ending {
    let client = context.client()?;
    let last_seq = if args.until_now {
        let (from, printed) = (args.from_seq.unwrap_or(0), |event| print(&context.output, event, form));
        read(&client, from, None, args.types, printed).await?
    } else {
        tokio::select! {
            last = live(context, &client, args, form) => last?,
            () = client.wake_when_served() => 0,
        }
    };
    if context.output.is_json() {
        context.output.line(&Line::<Event>::End { last_seq })?;
    }
    Ok(0)
}

/// Gives the events above `from`, up to `to` or else the one that is the newest when the first page is answered: a busy log
/// would never end otherwise. Returns where it stopped.
pub(crate) async fn read(
    client: &Client,
    from: u64,
    to: Option<u64>,
    types: Vec<String>,
    mut each: impl FnMut(Event) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let (mut from_seq, mut last) = (from, to);
    loop {
        let params = EventsReadParams { from_seq, types: types.clone(), limit: Some(PAGE) };
        let page = client.call::<EventsRead>(params).await?;
        let last = *last.get_or_insert(page.head_seq);
        let reached = page.events.last().map(|event| event.seq);
        for event in page.events.into_iter().filter(|e| e.seq > from_seq && e.seq <= last) {
            each(event)?;
        }
        match reached {
            Some(reached) if reached < last && reached > from_seq => from_seq = reached,
            _ => return Ok(last.min(page.head_seq)),
        }
    }
}

async fn live(context: &Context, client: &Client, args: TailArgs, form: Form) -> Result<u64, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let from = args.from_seq;
    let mut events = client.subscribe(from, args.types).await?;
    if events.subscribed().missed {
        let oldest = events.subscribed().oldest_seq;
        context.output.note(&format!("older events are purged: the log begins with {oldest}"));
    }
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => print(&context.output, event, form)?,
                None => return Err(gone(&events)),
            },
            () = interrupts.next() => return Ok(events.last_seq()),
        }
    }
}

fn gone(events: &EventStream) -> Failure {
    let hint = format!("go on with `bb tail --from-seq {}`", events.last_seq());
    WireError::unavailable("the daemon went away").hint(hint).into()
}

/// One event, as a line.
pub(super) fn print(output: &Output, event: Event, form: Form) -> Result<(), Failure> {
    match (output.is_json(), form) {
        (false, _) => output.text(&format!("{}\n", render::event(&event, output.painter()))),
        (true, Form::Wire) => output.line(&Line::Event { event: &event }),
        (true, Form::Cloud) => output.line(&Line::Event { event: &CloudEvent::from(event) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Painter;
    use serde_json::json;

    #[test]
    fn a_line_carries_the_event_as_the_log_has_it() {
        let event = Event {
            specversion: "1.0".into(),
            seq: 3,
            id: "e".into(),
            source: "podium://box".into(),
            kind: "worktree.created".into(),
            time: "2026-01-02T03:04:05Z".into(),
            subject: Some("worktree/w".into()),
            data_version: 1,
            data: json!({"name": "feat-x"}),
            correlation_id: None,
            causation_id: None,
        };
        let line = serde_json::to_value(Line::Event { event: &event }).unwrap();
        assert_eq!((&line["type"], &line["event"]["type"]), (&json!("event"), &json!("worktree.created")));
        assert_eq!(
            serde_json::to_value(Line::<Event>::End { last_seq: 3 }).unwrap(),
            json!({"type": "end", "lastSeq": 3})
        );
        assert_eq!(
            render::event(&event, Painter::new(false)),
            r#"3 2026-01-02T03:04:05Z worktree.created worktree/w {"name":"feat-x"}"#
        );
    }
}
