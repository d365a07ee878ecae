//! Commands on models take minutes: they show progress.

use std::sync::Arc;

use podium_protocol::{Method, ModelFetch, ModelParams, ModelVerify, Progress, WireError};
use serde_json::Value;
use tokio::sync::watch;

use crate::progress::Progressing;
use crate::state::State;

pub(crate) async fn run(state: &Arc<State>, method: &str, params: Value) -> Result<Value, WireError> {
    let params: ModelParams = serde_json::from_value(params).map_err(|e| WireError::user(e.to_string()))?;
    match method {
        "model/fetch" => with_progress::<ModelFetch>(state, params, "Fetching a model").await,
        _ => with_progress::<ModelVerify>(state, params, "Verifying a model").await,
    }
}

async fn with_progress<M>(state: &Arc<State>, params: ModelParams, title: &str) -> Result<Value, WireError>
where
    M: Method<Params = ModelParams>,
{
    let (newest, mut changes) = watch::channel(None::<Progress>);
    let call = state.daemon.call_with_progress::<M>(params, |progress| {
        newest.send_replace(Some(progress));
    });
    tokio::pin!(call);
    let token = format!("podium/model/{}", state.next_number());
    let mut shown = Progressing::begin(state, token, title.to_owned(), false).await;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut call => break answer,
            changed = changes.changed() => {
                if changed.is_err() {
                    break call.await;
                }
                let progress = changes.borrow_and_update().clone();
                if let Some(progress) = progress {
                    let percentage = percentage(progress.done, progress.total);
                    shown.report(progress.message, percentage).await;
                }
            }
        }
    };
    shown.end(if answer.is_ok() { "done" } else { "failed" }.to_owned()).await;
    serde_json::to_value(answer?).map_err(|e| WireError::internal(e.to_string()))
}

/// `None` where the total is not known.
pub(crate) fn percentage(done: u64, total: u64) -> Option<u32> {
    let share = done.min(total).saturating_mul(100).checked_div(total)?;
    u32::try_from(share).ok()
}
