//! `imi monitor`: the worktrees and what happens in them, live.
//!
//! Nothing is polled: the event log says when to read the list anew. A clock of one second moves "2s ago" on, and a
//! list is at most five seconds old, since the death of an owner can come without an event.

mod action;
mod draw;
mod feed;
mod input;
mod model;
mod screen;

use std::io::IsTerminal as _;

use jiff::Timestamp;
use podium_client::Client;
use podium_protocol::{
    Event, EventsRead, EventsReadParams, RepoSelector, SessionInfo, SessionListMethod, SessionListParams,
    SessionStatus, WireError, Worktree, WorktreeListMethod, WorktreeListParams,
};
use serde::Serialize;

use super::args::MonitorArgs;
use crate::context::Context;
use crate::interrupt::Interrupts;
use crate::output::{Ending, Failure};
use crate::progress::waiting;
use model::Model;

/// Events shown from before the start.
const PAST: u64 = 200;
const TYPES: [&str; 5] = ["worktree.*", "claim.*", "session.*", "repo.*", "config.*"];

/// What is shown at one moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    worktrees: Vec<Worktree>,
    /// Those that run.
    sessions: Vec<SessionInfo>,
    /// Newest event that the lists contain.
    head_seq: u64,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Snapshot(&'a Snapshot),
    Event {
        event: &'a Event,
    },
    End {
        #[serde(rename = "lastSeq")]
        last_seq: u64,
    },
}

/// Where lists are read from.
#[derive(Clone)]
struct Source {
    client: Client,
    list: WorktreeListParams,
}

impl Source {
    async fn snapshot(&self) -> Result<Snapshot, WireError> {
        // Before the lists: what happens meanwhile is told as an event as well.
        let head = self.page(u64::MAX).await?.head_seq;
        let worktrees = self.client.call::<WorktreeListMethod>(self.list.clone()).await?.worktrees;
        let running = SessionListParams { status: Some(SessionStatus::InProgress), ..Default::default() };
        let sessions = self.client.call::<SessionListMethod>(running).await?.sessions;
        Ok(Snapshot { worktrees, sessions, head_seq: head })
    }

    async fn page(&self, from_seq: u64) -> Result<podium_protocol::EventsPage, WireError> {
        let from_seq = from_seq.min(u64::try_from(i64::MAX).unwrap_or_default());
        let params = EventsReadParams { from_seq, types: types(), limit: Some(1_000) };
        self.client.call::<EventsRead>(params).await
    }

    /// The newest events up to `head`.
    async fn past(&self, head: u64) -> Result<Vec<Event>, WireError> {
        let page = self.page(head.saturating_sub(PAST)).await?;
        Ok(page.events.into_iter().filter(|event| event.seq <= head).collect())
    }
}

fn types() -> Vec<String> {
    TYPES.map(str::to_owned).into()
}

pub(super) async fn run(context: &Context, at: RepoSelector, args: MonitorArgs) -> Ending {
    let source = Source { client: context.client()?, list: WorktreeListParams { at, all: args.all } };
    let snapshot = waiting(&context.output, "listing", source.snapshot()).await?;
    if context.output.is_json() && !args.once {
        return lines(context, &source, &snapshot).await;
    }
    let past = source.past(snapshot.head_seq).await?;
    let mut model = Model::new(args.all);
    model.show(snapshot.clone());
    past.into_iter().for_each(|event| model.happened(event));
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if args.once || context.output.is_json() || !interactive {
        context.output.reply(&snapshot, |paint| feed::text(&model, Timestamp::now(), paint))?;
        return Ok(0);
    }
    screen::run(&source, model).await
}

/// The lists, then every event behind them, each once, until Ctrl-C.
async fn lines(context: &Context, source: &Source, snapshot: &Snapshot) -> Ending {
    let mut interrupts = Interrupts::listen()?;
    context.output.line(&Line::Snapshot(snapshot))?;
    let mut last_seq = snapshot.head_seq;
    let mut events = source.client.subscribe(Some(last_seq), types()).await?;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => {
                    last_seq = event.seq;
                    context.output.line(&Line::Event { event: &event })?;
                }
                None => return Err(Failure::from(WireError::unavailable("the daemon went away"))),
            },
            () = interrupts.next() => break,
        }
    }
    context.output.line(&Line::End { last_seq })?;
    Ok(0)
}
