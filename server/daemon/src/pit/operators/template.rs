//! `template`: a text with places for values.

use podium_pit::dag::{NodeCall, NodeError};

use super::{Arguments, Bench, Outputs};

/// Outputs `text`. Its slots are the node's inputs and those of the run.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let text = args.text("text")?;
    let text = bench.keep("text of a template", "text/plain", "docs", text.into()).await?;
    Ok(Outputs::from_iter([("text".to_owned(), text)]))
}
