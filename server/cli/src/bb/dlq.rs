//! `bb dlq`: tasks that failed as often as they may.

use podium_client::Client;
use podium_protocol::{TaskList, TaskListMethod, TaskListParams, TaskParams, TaskRetry, TaskShow, TaskState};

use super::args::DlqCommand;
use super::render;
use crate::context::Context;
use crate::output::{Ending, Failure};

pub(super) async fn run(context: &Context, command: DlqCommand) -> Ending {
    let client = context.client()?;
    match command {
        DlqCommand::List { all, queue, limit } => {
            let states = if all { Vec::new() } else { vec![TaskState::Dead] };
            let list = client.call::<TaskListMethod>(TaskListParams { queue, states, limit }).await?;
            context.output.reply(&list, |paint| render::tasks(&list.tasks, all, paint))?;
        }
        DlqCommand::Show { id } => {
            let shown = client.call::<TaskShow>(TaskParams { id }).await?;
            context.output.reply(&shown, |paint| render::task(&shown.task, paint))?;
        }
        DlqCommand::Retry { ids, all } => {
            let ids = if all { dead(&client).await? } else { ids };
            retry(context, &client, ids).await?;
        }
    }
    Ok(0)
}

async fn dead(client: &Client) -> Result<Vec<String>, Failure> {
    let params = TaskListParams { queue: None, states: vec![TaskState::Dead], limit: Some(1000) };
    let mut tasks = client.call::<TaskListMethod>(params).await?.tasks;
    // In the order in which they came.
    tasks.reverse();
    Ok(tasks.into_iter().map(|task| task.id).collect())
}

async fn retry(context: &Context, client: &Client, ids: Vec<String>) -> Result<(), Failure> {
    let mut list = TaskList { tasks: Vec::new() };
    for id in ids {
        match client.call::<TaskRetry>(TaskParams { id }).await {
            Ok(shown) => list.tasks.push(shown.task),
            // What was assigned until here stays so.
            Err(error) if !list.tasks.is_empty() => {
                let data = serde_json::to_value(&list).unwrap_or_default();
                return Err(Failure::Partly(Box::new(error), data));
            }
            Err(error) => return Err(error.into()),
        }
    }
    context.output.reply(&list, |paint| render::tasks(&list.tasks, true, paint))
}
