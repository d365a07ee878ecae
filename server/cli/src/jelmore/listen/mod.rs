//! `jelmore listen`: tasks of a queue, taken and brought to their outcome.
//!
//! The daemon does the work; here it is only asked for and shown. What is shown comes from the event log, so each change of
//! a task is printed once, whatever dies in between.

mod view;

use clap::Args;
use podium_client::{Client, EventStream, QueueStream};
use podium_protocol::{
    DEFAULT_QUEUE, RepoSelector, TaskListenEnd, TaskListenEnded, TaskListenParams, WireError,
};

use crate::bb;
use crate::context::Context;
use crate::interrupt::Interrupts;
use crate::output::{EXIT_SIGINT, Ending, Failure};
use view::View;

pub(super) const LISTEN_HELP: &str = "\
Examples:
  jelmore listen                                  take tasks as they come, one at a time, until Ctrl-C
  jelmore listen --workers 4 claude               four at a time
  jelmore listen --queue docs --agent-id writer --once
  jelmore listen --until-empty --json             for scripts: do what is there, then end

Tasks come by `bb publish task.assigned --data '{\"id\":\"t-1\",\"task\":\"Write the tests\"}'`. Each gets a worktree, a session, a
commit and one outcome (task.completed or task.failed); several listeners share a queue. When listener or daemon die, the
next ones go on with the same session. A task that fails as often as tasks.attempts says becomes a dead letter (`bb dlq`).
Ctrl-C takes no more tasks and waits for those at work; a second one leaves them to the daemon.
Exit: 0 all done, 1 some failed.";

/// Events of a task that are shown.
const TYPES: [&str; 4] = ["task.accepted", "task.deferred", "task.completed", "task.failed"];

#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// For tasks that name none: local, anthropic (or claude), openai, ... [default: the first usable one]
    pub provider: Option<String>,
    /// Queue to listen to
    #[arg(long, value_name = "Q", default_value = DEFAULT_QUEUE)]
    pub queue: String,
    /// Tasks at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: u32,
    /// Take only tasks for this agent, and those for nobody [env: PODIUM_AGENT_ID]
    #[arg(long, value_name = "ID", alias = "yi-id")]
    pub agent_id: Option<String>,
    /// Model of the provider, for tasks that name none
    #[arg(long)]
    pub model: Option<String>,
    /// End after one outcome
    #[arg(long)]
    pub once: bool,
    /// End when the queue has no task that waits or runs
    #[arg(long)]
    pub until_empty: bool,
}

pub(super) async fn listen(context: &Context, at: RepoSelector, args: ListenArgs) -> Ending {
    let client = context.client()?;
    let queue = args.queue.clone();
    let mut stream = client.listen(params(context, at, args)).await?;
    let mut view = View::new(context.output, stream.listener());
    view.listening(&queue, stream.listening().open)?;
    let types = TYPES.map(str::to_owned).to_vec();
    let mut events = client.subscribe(Some(stream.listening().head_seq), types).await?;
    tokio::select! {
        ending = follow(context, &client, &mut stream, &mut events, &mut view) => ending,
        () = client.wake_when_served() => Ok(0),
    }
}

fn params(context: &Context, at: RepoSelector, args: ListenArgs) -> TaskListenParams {
    TaskListenParams {
        at,
        listener: String::new(),
        queue: Some(args.queue),
        workers: Some(if args.once { 1 } else { args.workers }),
        agent_id: context.agent(args.agent_id),
        provider: args.provider,
        model: args.model,
        most: args.once.then_some(1),
        until_empty: args.until_empty,
    }
}

async fn follow(
    context: &Context,
    client: &Client,
    stream: &mut QueueStream,
    events: &mut EventStream,
    view: &mut View,
) -> Ending {
    let mut interrupts = Interrupts::listen()?;
    // One future for the whole time: a listener that is coming back is not begun anew with each event.
    let mut ended = Box::pin(stream.ended());
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => view.event(&event)?,
                None => return Err(gone()),
            },
            end = &mut ended => return finish(client, events, view, end?).await,
            () = interrupts.next() => break,
        }
    }
    drop(ended);
    stream.leave();
    if view.at_work() > 0 {
        context.output.note(&format!(
            "no more tasks are taken; {} at work. Ctrl-C again leaves them to the daemon",
            view.at_work()
        ));
    }
    while view.at_work() > 0 {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => view.event(&event)?,
                None => return Err(gone()),
            },
            () = interrupts.next() => {
                view.end("left", events.last_seq())?;
                return Err(Failure::Said(EXIT_SIGINT));
            }
        }
    }
    view.end("left", events.last_seq())
}

/// Prints what is stored up to the end.
async fn finish(client: &Client, events: &EventStream, view: &mut View, end: TaskListenEnded) -> Ending {
    let types = TYPES.map(str::to_owned).to_vec();
    let from = events.last_seq();
    if end.head_seq > from {
        bb::read(client, from, Some(end.head_seq), types, |event| view.event(&event)).await?;
    }
    let why = match end.why {
        TaskListenEnd::Enough => "enough",
        TaskListenEnd::Empty => "empty",
    };
    view.end(why, end.head_seq)
}

fn gone() -> Failure {
    WireError::unavailable("the daemon went away").hint("listen again: tasks go on where they were").into()
}
