//! `artifact.search`.

use podium_pit::dag::{NodeCall, NodeError};
use podium_protocol::ArtifactSearchParams;
use serde_json::json;

use super::bench::unavailable;
use super::{Arguments, Bench, Outputs};

/// Outputs `hits`: id, title, kind, score and snippet of each.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    let args = Arguments::of(bench, call).await?;
    let limit = args.number("limit")?.map(|limit| u32::try_from(limit).unwrap_or(100).clamp(1, 100));
    let params = ArtifactSearchParams {
        query: args.text("query")?,
        kind: args.optional_text("kind")?,
        limit,
        ..Default::default()
    };
    let hits = bench.daemon().artifacts.search(params).await.map_err(unavailable)?;
    Ok(Outputs::from_iter([("hits".to_owned(), json!(hits))]))
}
