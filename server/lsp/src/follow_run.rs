//! Runs of melodies that this window started: their progress, and in one sentence how they ended.

use std::collections::HashSet;
use std::sync::Arc;

use podium_client::RunStream;
use podium_protocol::{
    MelodyNodeState, MelodyRun, MelodyRunStatus, PitAction, PitControl, PitControlParams, WireError, count,
};
use serde_json::Value;
use tower_lsp::ls_types::{MessageType, ProgressToken};

use crate::commands::percentage;
use crate::progress::Progressing;
use crate::state::{State, lock};
use crate::to_lsp::to_sentence;

/// Names of nodes in a progress message.
const SHOWN: usize = 3;
/// Beginning of what is remembered of a progress that is of a run.
const RUN: &str = "run/";

/// Follows the run of an answer in the background.
pub(crate) fn start(state: &Arc<State>, answer: &Value) {
    let Some(run) = answer["run"].as_str().map(str::to_owned) else { return };
    let token = format!("podium/run/{run}/{}", state.next_number());
    lock(&state.followed).insert(ProgressToken::String(token.clone()), format!("{RUN}{run}"));
    let state = Arc::clone(state);
    tokio::spawn(async move {
        follow(&state, &run, token.clone()).await;
        lock(&state.followed).remove(&ProgressToken::String(token));
        state.changed.notify_one();
    });
}

/// The run that a progress is of, by what is remembered of it.
pub(crate) fn run_of(followed: &str) -> Option<&str> {
    followed.strip_prefix(RUN)
}

/// The person pressed the cancel button of a run's progress.
pub(crate) async fn cancel(state: &Arc<State>, run: &str) {
    let params = PitControlParams { run: run.to_owned(), action: PitAction::Cancel, node: None };
    if let Err(error) = state.daemon.call::<PitControl>(params).await {
        state.editor.show(MessageType::ERROR, to_sentence(&error)).await;
    }
}

async fn follow(state: &Arc<State>, run: &str, token: String) {
    let stream = state.daemon.follow_run(run, 0).await;
    let title = match &stream {
        Ok(stream) => format!("Podium: {}", stream.attached().run.name),
        Err(_) => "Podium".to_owned(),
    };
    let mut shown = Progressing::begin(state, token, title, true).await;
    let outcome = match stream {
        Ok(stream) => show(stream, &mut shown).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(run) => {
            shown.end(run.status.as_str().to_owned()).await;
            let kind =
                if run.status == MelodyRunStatus::Failed { MessageType::ERROR } else { MessageType::INFO };
            state.editor.show(kind, sentence(&run)).await;
        }
        Err(error) => {
            shown.end("not followed any further".to_owned()).await;
            if !state.daemon.is_stopped() {
                state.editor.show(MessageType::WARNING, to_sentence(&error)).await;
            }
        }
    }
}

async fn show(mut stream: RunStream, shown: &mut Progressing) -> Result<MelodyRun, WireError> {
    let total = stream.attached().run.nodes.total;
    let (mut ended, mut running) = (HashSet::new(), Vec::new());
    while let Some(update) = stream.next().await {
        let update = update?;
        for node in update.nodes {
            running.retain(|id| *id != node.id);
            match node.state {
                MelodyNodeState::Executing | MelodyNodeState::Retrying => running.push(node.id),
                MelodyNodeState::Completed | MelodyNodeState::Failed | MelodyNodeState::Skipped
                    if !node.id.contains('[') =>
                {
                    ended.insert(node.id);
                }
                _ => {}
            }
        }
        let names: Vec<&str> = running.iter().take(SHOWN).map(String::as_str).collect();
        shown.report(names.join(", "), percentage(ended.len() as u64, total)).await;
        if let Some(run) = update.run.filter(|run| run.ended_at.is_some()) {
            return Ok(run);
        }
    }
    Err(WireError::unavailable("the run's end was not seen"))
}

fn sentence(run: &MelodyRun) -> String {
    let why = run.error.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    match run.status {
        MelodyRunStatus::Completed => {
            format!("{} is done: {}", run.name, count(run.nodes.completed, "node"))
        }
        MelodyRunStatus::Failed => format!("{} failed{why}", run.name),
        status => format!("{} is {}{why}", run.name, status.as_str()),
    }
}
