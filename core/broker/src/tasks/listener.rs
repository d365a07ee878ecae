//! Takes tasks of a queue, so many at a time, and brings each to its outcome.

use std::sync::Arc;
use std::time::Duration;

use podium_protocol::{TaskListenEnd, TaskOutcome, TaskState};
use podium_store::now_ms;
use tokio::sync::mpsc;

use super::{Given, Task, TaskHandler, Tasks, Worked};
use crate::BrokerError;

/// Pause after the store could not be read or written.
const RETRY: Duration = Duration::from_secs(5);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Longest wait without a look at the queue.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How often a task is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts that may come to nothing; with the last the task is a dead letter.
    pub attempts: u32,
    /// Processes that may end while it is worked on.
    pub cuts: u32,
    /// Pause before the second attempt; doubled before each further one.
    pub pause: Duration,
}

impl Patience {
    /// Pause after so many attempts came to nothing.
    fn pause_after(&self, attempts: u32) -> Duration {
        let doubled = self.pause.saturating_mul(1_u32 << attempts.saturating_sub(1).min(16));
        doubled.min(LONGEST_PAUSE)
    }
}

/// What somebody listens for.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    pub queue: String,
    /// Id of the listener, the same after it came back.
    pub listener: String,
    /// Takes tasks for this agent and those for nobody; `None`: all.
    pub agent_id: Option<String>,
    /// Tasks at a time.
    pub workers: usize,
    /// Ends after so many outcomes, counted from the listener's first start.
    pub most: Option<u32>,
    /// Ends when nothing of the queue waits or runs.
    pub until_empty: bool,
    pub patience: Patience,
}

/// Listens until there is enough, or for ever. Dropping it takes no more tasks; those that were taken go on to their
/// outcome or to the end of the attempt.
pub async fn listen(tasks: Tasks, handler: Arc<dyn TaskHandler>, options: ListenOptions) -> TaskListenEnd {
    let (over, mut ended) = mpsc::unbounded_channel();
    let mut changes = tasks.changes();
    let mut running = 0_usize;
    loop {
        changes.borrow_and_update();
        let next = match round(&tasks, &handler, &options, &mut running, &over).await {
            Ok(Next::End(why)) => return why,
            Ok(Next::Wait(pause)) => pause,
            Err(error) => {
                tracing::warn!(queue = options.queue, %error, "the queue cannot be looked at");
                RETRY
            }
        };
        tokio::select! {
            Some(()) = ended.recv() => running -= 1,
            _ = changes.changed() => {}
            () = tokio::time::sleep(next) => {}
        }
        while let Ok(()) = ended.try_recv() {
            running -= 1;
        }
    }
}

enum Next {
    End(TaskListenEnd),
    Wait(Duration),
}

/// Takes what there is room for.
async fn round(
    tasks: &Tasks,
    handler: &Arc<dyn TaskHandler>,
    options: &ListenOptions,
    running: &mut usize,
    over: &mpsc::UnboundedSender<()>,
) -> Result<Next, BrokerError> {
    let left = match options.most {
        Some(most) => most.saturating_sub(tasks.ended_by(&options.listener).await?) as usize,
        None => usize::MAX,
    };
    while *running < options.workers.min(left) {
        let taken = tasks.take(&options.queue, options.agent_id.clone(), &options.listener).await?;
        let Some(given) = taken else { break };
        *running += 1;
        let (tasks, handler, patience) = (tasks.clone(), Arc::clone(handler), options.patience);
        let over = Over(over.clone());
        tokio::spawn(async move {
            let _over = over;
            attempt(&tasks, handler.as_ref(), given, patience).await;
        });
    }
    if *running == 0 && left == 0 {
        return Ok(Next::End(TaskListenEnd::Enough));
    }
    if options.until_empty
        && *running == 0
        && tasks.open(&options.queue, options.agent_id.clone()).await? == 0
    {
        return Ok(Next::End(TaskListenEnd::Empty));
    }
    let due = tasks.next_due(&options.queue).await?.map_or(LOOK_AGAIN, Duration::from_millis);
    // One that is due but was not taken waits for room, or for another agent.
    Ok(Next::Wait(if due.is_zero() { LOOK_AGAIN } else { due.min(LOOK_AGAIN) }))
}

/// Says that an attempt is over, also of one that panicked.
struct Over(mpsc::UnboundedSender<()>);

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// One attempt, and what follows from it.
async fn attempt(tasks: &Tasks, handler: &dyn TaskHandler, given: Given, patience: Patience) {
    let stored = if given.task.attempts >= patience.attempts || given.task.cuts > patience.cuts {
        let reason = given.task.reason.clone();
        bury(tasks, handler, &given.task, reason.unwrap_or_else(|| cut_off(&given.task))).await
    } else {
        follow(tasks, handler, &given.task, patience).await
    };
    if let Err(error) = stored {
        tracing::error!(task = given.task.id, %error, "what came of a task cannot be stored; it is taken up again");
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(
    tasks: &Tasks,
    handler: &dyn TaskHandler,
    task: &Task,
    patience: Patience,
) -> Result<(), BrokerError> {
    match handler.work(task).await {
        Worked::Done(made) => tasks.end(TaskState::Done, task.outcome(made, None, false)).await,
        Worked::Failed { reason, outcome } => {
            tasks.end(TaskState::Failed, task.outcome(outcome, Some(reason), false)).await
        }
        Worked::Again { reason } if task.attempts + 1 >= patience.attempts => {
            tasks.give_up(task, &reason).await?;
            let last = Task { attempts: task.attempts + 1, ..task.clone() };
            bury(tasks, handler, &last, reason).await
        }
        Worked::Again { reason } => {
            let pause = patience.pause_after(task.attempts + 1);
            let until = now_ms().saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
            tasks.defer(task, &reason, until).await
        }
    }
}

async fn bury(
    tasks: &Tasks,
    handler: &dyn TaskHandler,
    task: &Task,
    reason: String,
) -> Result<(), BrokerError> {
    let left: TaskOutcome = handler.abandon(task).await;
    tasks.end(TaskState::Dead, task.outcome(left, Some(reason), true)).await
}

fn cut_off(task: &Task) -> String {
    format!("the daemon ended {} times while it was worked on", task.cuts)
}
