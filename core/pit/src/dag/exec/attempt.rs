//! One attempt of one node, and how it is cut off.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio_util::task::AbortOnDropHandle;

use super::run::Run;
use crate::dag::runner::{FailureKind, NodeCall, NodeError, Work};

impl Run {
    /// Runs an attempt in a task of its own, so that a panic stays there and one that never yields blocks
    /// nobody who waits for it.
    pub(super) async fn attempt(&self, call: NodeCall) -> Result<Map<String, Value>, NodeError> {
        let (work, cancel) = (Arc::clone(&call.work), call.cancel.clone());
        let limit = work.timeout.unwrap_or(self.with.settings.timeout);
        let runner = Arc::clone(&self.with.runner);
        let mut task = AbortOnDropHandle::new(tokio::spawn(async move { runner.run(call).await }));
        let cut = tokio::select! {
            biased;
            // What fails because it was told to end, was cancelled.
            ended = &mut task => {
                let because = |error| if self.cancel.is_cancelled() { cancelled() } else { error };
                return self.judge(&work, ended).map_err(because);
            }
            () = self.cancel.cancelled() => cancelled(),
            () = tokio::time::sleep(limit) => timed_out(limit),
        };
        cancel.cancel();
        match tokio::time::timeout(self.with.settings.grace, &mut task).await {
            // What is done is done, and counts.
            Ok(ended) => self.judge(&work, ended).map_err(|_| cut),
            Err(_) => Err(cut),
        }
    }

    fn judge(
        &self,
        work: &Work,
        ended: Result<Result<Map<String, Value>, NodeError>, tokio::task::JoinError>,
    ) -> Result<Map<String, Value>, NodeError> {
        match ended {
            Ok(outputs) => self.check(work, outputs?),
            Err(error) if error.is_panic() => Err(panicked(error.into_panic().as_ref())),
            Err(_) => Err(NodeError::new(FailureKind::Cancelled, "it was stopped")),
        }
    }

    /// Whether outputs are what the node's ports promise.
    pub(super) fn check(
        &self,
        work: &Work,
        outputs: Map<String, Value>,
    ) -> Result<Map<String, Value>, NodeError> {
        let wrong = |message| Err(NodeError::new(FailureKind::BadOutput, message));
        let mut left = self.with.settings.largest_output;
        if !outputs.values().all(|value| fits_into(value, &mut left)) {
            return wrong(format!("its outputs hold more than {} bytes", self.with.settings.largest_output));
        }
        for outlet in work.outlets.iter() {
            let value = outputs.get(&outlet.name);
            if value.is_some_and(|value| !outlet.port_type.takes(value, &self.plan.schemas)) {
                return wrong(format!("its output `{}` is not of type {}", outlet.name, outlet.port_type));
            }
        }
        Ok(outputs)
    }
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> NodeError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
    NodeError::new(FailureKind::Panicked, format!("it panicked: {text}"))
}

fn cancelled() -> NodeError {
    NodeError::new(FailureKind::Cancelled, "the run was cancelled")
}

fn timed_out(limit: Duration) -> NodeError {
    NodeError::new(FailureKind::TimedOut, format!("it took longer than {limit:?}"))
}

/// Takes the size of a value from what is left.
fn fits_into(value: &Value, left: &mut usize) -> bool {
    let own = match value {
        Value::String(text) => text.len() + 2,
        _ => 4,
    };
    let Some(rest) = left.checked_sub(own) else { return false };
    *left = rest;
    match value {
        Value::Array(items) => items.iter().all(|item| fits_into(item, left)),
        Value::Object(fields) => fields.iter().all(|(name, field)| {
            *left = left.saturating_sub(name.len() + 4);
            fits_into(field, left)
        }),
        _ => true,
    }
}
