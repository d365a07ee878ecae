//! `podium events`.

use podium_cli::context::Context;
use podium_cli::interrupt::Interrupts;
use podium_cli::output::{Ending, Failure, Output};
use podium_cli::style::{Painter, one_line, shortened};
use podium_client::Client;
use podium_protocol::{Event, EventsRead, EventsReadParams, WireError};
use serde::Serialize;

use crate::args::{EventsCommand, TailArgs};

/// Events asked for in one page.
const PAGE: u32 = 1000;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Event {
        event: &'a Event,
    },
    End {
        #[serde(rename = "lastSeq")]
        last_seq: u64,
    },
}

pub(crate) async fn run(context: &Context, command: EventsCommand) -> Ending {
    let EventsCommand::Tail(args) = command;
    let client = context.client()?;
    let last_seq = if args.until_now {
        stored(context, &client, args).await?
    } else {
        live(context, &client, args).await?
    };
    if context.output.is_json() {
        context.output.line(&Line::End { last_seq })?;
    }
    Ok(0)
}

/// Up to the event that is the newest when the first page is answered: a busy log would never end otherwise.
async fn stored(context: &Context, client: &Client, args: TailArgs) -> Result<u64, Failure> {
    let (mut from_seq, mut head) = (args.from_seq.unwrap_or(0), None);
    loop {
        let params = EventsReadParams { from_seq, types: args.types.clone(), limit: Some(PAGE) };
        let page = client.call::<EventsRead>(params).await?;
        let head = *head.get_or_insert(page.head_seq);
        for event in page.events.iter().filter(|e| e.seq > from_seq && e.seq <= head) {
            print(&context.output, event)?;
        }
        match page.events.last() {
            Some(last) if last.seq < head && last.seq > from_seq => from_seq = last.seq,
            _ => return Ok(head),
        }
    }
}

async fn live(context: &Context, client: &Client, args: TailArgs) -> Result<u64, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let mut events = client.subscribe(args.from_seq, args.types).await?;
    let mut last_seq = args.from_seq.unwrap_or(0);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => {
                    last_seq = event.seq;
                    print(&context.output, &event)?;
                }
                None => return Err(WireError::unavailable("the daemon went away")
                    .hint(format!("go on with `podium events tail --from-seq {last_seq}`")).into()),
            },
            () = interrupts.next() => return Ok(last_seq),
        }
    }
}

fn print(output: &Output, event: &Event) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(&Line::Event { event });
    }
    output.text(&format!("{}\n", render(event, output.painter())))
}

fn render(event: &Event, paint: Painter) -> String {
    let subject = event.subject.as_deref().map(one_line).unwrap_or_default();
    let data = shortened(&one_line(&event.data.to_string()), 120);
    let kind = paint.cyan(&one_line(&event.kind));
    format!("{} {} {kind} {subject} {}", event.seq, paint.dim(&one_line(&event.time)), paint.dim(&data))
}

#[cfg(test)]
mod tests {
    use super::*;
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
            serde_json::to_value(Line::End { last_seq: 3 }).unwrap(),
            json!({"type": "end", "lastSeq": 3})
        );
        assert_eq!(
            render(&event, Painter::new(false)),
            r#"3 2026-01-02T03:04:05Z worktree.created worktree/w {"name":"feat-x"}"#
        );
    }
}
