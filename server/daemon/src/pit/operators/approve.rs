//! `human.approve`: a question that a person answers, in the editor or by `jelmore inbox`.

use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use podium_protocol::InboxDecision;
use serde_json::{Value, json};

use super::{Arguments, Bench, Outputs, arguments};

/// Outputs `out`, which is what came in, and `decision`. A denial fails the node.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let question = args.text("question")?;
    let shown = args.inputs().get("in").filter(|value| !value.is_null());
    let detail = shown.map(arguments::printed);
    let (decision, by) = bench.ask(call, &question, detail.as_deref()).await?;
    if decision != InboxDecision::Allow {
        return Err(NodeError::new(FailureKind::Denied, format!("denied by {by}")));
    }
    let out = call.inputs.get("in").cloned().unwrap_or(Value::Null);
    Ok(Outputs::from_iter([
        ("out".to_owned(), out),
        ("decision".to_owned(), json!(format!("allowed by {by}"))),
    ]))
}
