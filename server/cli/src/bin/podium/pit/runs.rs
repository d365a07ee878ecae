//! `podium runs` and `podium pool`.

use jiff::Timestamp;
use podium_cli::context::Context;
use podium_cli::output::Ending;
use podium_protocol::{
    PitAction, PitControl, PitControlParams, PitLogsMethod, PitLogsParams, PitMetricsMethod,
    PitMetricsParams, PitRunsMethod, PitRunsParams, PitShow, PitShowParams, PoolListMethod, PoolListParams,
};

use super::args::RunsCommand;
use super::follow::{self, Follow};
use super::render;

pub(crate) async fn runs(context: &Context, command: RunsCommand) -> Ending {
    match command {
        RunsCommand::List { melody, open, limit } => {
            list(context, PitRunsParams { melody, open, limit }).await
        }
        RunsCommand::Show(run) => show(context, run.id).await,
        RunsCommand::Logs { run, node } => logs(context, run.id, node).await,
        RunsCommand::Metrics { run, prometheus } => metrics(context, run, prometheus).await,
        RunsCommand::Watch { run, from_seq } => {
            let client = context.client()?;
            follow::follow(context, &client, Follow { run: run.id, from_seq, own: false }).await
        }
        RunsCommand::Pause(run) => control(context, run.id, PitAction::Pause, None).await,
        RunsCommand::Resume(run) => control(context, run.id, PitAction::Resume, None).await,
        RunsCommand::Cancel(run) => control(context, run.id, PitAction::Cancel, None).await,
        RunsCommand::Retry { run, node } => control(context, run.id, PitAction::Retry, node).await,
        RunsCommand::Rerun { run, node } => control(context, run.id, PitAction::Rerun, Some(node)).await,
    }
}

async fn list(context: &Context, params: PitRunsParams) -> Ending {
    let answer = context.client()?.call::<PitRunsMethod>(params).await?;
    context.output.reply(&answer, |paint| render::list(&answer.runs, Timestamp::now(), paint))?;
    Ok(0)
}

async fn show(context: &Context, run: String) -> Ending {
    let client = context.client()?;
    let mut shown = client.call::<PitShow>(PitShowParams { run: run.clone(), from_seq: 0 }).await?;
    while shown.more {
        let from_seq = shown.node_list.last().map_or(0, |node| node.seq);
        let next = client.call::<PitShow>(PitShowParams { run: run.clone(), from_seq }).await?;
        shown.more = next.more && !next.node_list.is_empty();
        shown.node_list.retain(|node| next.node_list.iter().all(|newer| newer.id != node.id));
        shown.node_list.extend(next.node_list);
    }
    context.output.reply(&shown, |paint| render::shown(&shown, paint))?;
    Ok(0)
}

async fn logs(context: &Context, run: String, node: Option<String>) -> Ending {
    let client = context.client()?;
    let ask = |from_seq| PitLogsParams { run: run.clone(), node: node.clone(), from_seq };
    let mut logs = client.call::<PitLogsMethod>(ask(0)).await?;
    while logs.more && !context.output.is_json() {
        context.output.text(&render::logs(&logs, context.output.painter()))?;
        let from_seq = logs.entries.last().map_or(0, |entry| entry.seq);
        logs = client.call::<PitLogsMethod>(ask(from_seq)).await?;
    }
    context.output.reply(&logs, |paint| render::logs(&logs, paint))?;
    Ok(0)
}

async fn metrics(context: &Context, run: Option<String>, prometheus: bool) -> Ending {
    let params = PitMetricsParams { run, prometheus };
    let metrics = context.client()?.call::<PitMetricsMethod>(params).await?;
    context.output.reply(&metrics, |paint| {
        metrics.prometheus.clone().unwrap_or_else(|| render::metrics(&metrics, paint))
    })?;
    Ok(0)
}

async fn control(context: &Context, run: String, action: PitAction, node: Option<String>) -> Ending {
    let run = context.client()?.call::<PitControl>(PitControlParams { run, action, node }).await?;
    context.output.reply(&run, |paint| format!("{}: {}", run.id, render::end(&run, paint)))?;
    Ok(0)
}

pub(crate) async fn pool(context: &Context) -> Ending {
    let pool = context.client()?.call::<PoolListMethod>(PoolListParams {}).await?;
    context.output.reply(&pool, |paint| render::pool(&pool, paint))?;
    Ok(0)
}
