//! `task/*`: the queues.

use std::sync::Arc;
use std::time::Duration;

use podium_broker::{ListenOptions, Patience};
use podium_protocol::{
    DEFAULT_QUEUE, TaskList, TaskListParams, TaskListenEnded, TaskListenParams, TaskListening, TaskParams,
    TaskShown, WireError, notify,
};

use crate::call::Call;
use crate::runs::Cycle;

/// Tasks that one listener may have at a time.
const MOST_WORKERS: u32 = 64;
/// Longest name of a queue, a listener or an agent, in bytes.
const LONGEST: usize = 128;
/// Daemons that may end while a task is worked on. High: it was hardly the task each time.
const CUTS: u32 = 20;

/// The subscription takes tasks; what it took is brought to its end also when the client is gone.
pub(crate) async fn listen(call: Call, params: TaskListenParams) -> Result<TaskListening, WireError> {
    let options = options(&call, &params)?;
    let open = call.daemon.tasks.open(&options.queue, options.agent_id.clone()).await?;
    let head_seq = call.daemon.store.head();
    let cycle = Cycle::new(call.clone(), params);
    let subscription =
        call.peer.reserve().ok_or_else(|| WireError::busy("too many subscriptions on this connection"))?;
    let (peer, tasks, request) = (Arc::clone(&call.peer), call.daemon.tasks.clone(), call.request);
    let work = async move {
        let why = podium_broker::listen(tasks, Arc::new(cycle), options).await;
        let end = TaskListenEnded { subscription, why, head_seq: call.daemon.store.head() };
        call.peer.notify(notify::TASK_END, &end).await;
    };
    peer.run(request, subscription, work);
    Ok(TaskListening { subscription, open, head_seq })
}

fn options(call: &Call, params: &TaskListenParams) -> Result<ListenOptions, WireError> {
    let queue = params.queue.clone().unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
    let named = [Some(&queue), Some(&params.listener), params.agent_id.as_ref()];
    if named.into_iter().flatten().any(|name| name.is_empty() || name.len() > LONGEST) {
        let text = format!("a queue, a listener and an agent each have a name of 1 to {LONGEST} bytes");
        return Err(WireError::usage(text));
    }
    let workers = params.workers.unwrap_or(1);
    if !(1..=MOST_WORKERS).contains(&workers) {
        return Err(WireError::usage(format!("1 to {MOST_WORKERS} tasks are worked on at a time")));
    }
    let config = call.daemon.config.get();
    let number = |key| u32::try_from(config.integer(key)).unwrap_or(1);
    let patience = Patience {
        attempts: number("tasks.attempts"),
        cuts: CUTS,
        pause: Duration::from_secs(number("tasks.retry_seconds").into()),
    };
    Ok(ListenOptions {
        queue,
        listener: params.listener.clone(),
        agent_id: params.agent_id.clone(),
        workers: workers as usize,
        most: params.most,
        until_empty: params.until_empty,
        patience,
    })
}

pub(crate) async fn list(call: Call, params: TaskListParams) -> Result<TaskList, WireError> {
    Ok(TaskList { tasks: call.daemon.tasks.list(params).await? })
}

pub(crate) async fn show(call: Call, params: TaskParams) -> Result<TaskShown, WireError> {
    Ok(TaskShown { task: call.daemon.tasks.show(&params.id).await? })
}

pub(crate) async fn retry(call: Call, params: TaskParams) -> Result<TaskShown, WireError> {
    Ok(TaskShown { task: call.daemon.tasks.retry(&params.id).await? })
}
