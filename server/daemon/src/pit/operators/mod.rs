//! What built-in operators do: one file for each group. Their ports and params are those of the catalogue of melodies.

mod approve;
mod arguments;
mod bench;
mod files;
mod git;
mod http;
mod instrument;
mod query;
mod search;
mod shell;
mod template;
mod tests_run;
mod tree;

use podium_melody::NodeKind;
use podium_pit::dag::{FailureKind, NodeCall, NodeError};
use serde_json::{Map, Value};

pub(super) use arguments::Arguments;
pub(super) use bench::{Bench, Known, Starter, without_keys};

/// Outputs by port.
pub(super) type Outputs = Map<String, Value>;

/// Runs one attempt of a node.
pub(super) async fn run(bench: &Bench, call: &NodeCall) -> Result<Outputs, NodeError> {
    if call.work.kind == NodeKind::Instrument {
        return instrument::run(bench, call).await;
    }
    match call.work.uses.as_ref() {
        "noop" => Ok(Outputs::new()),
        "shell" => shell::run(bench, call).await,
        "test.run" => tests_run::run(bench, call).await,
        "git.diff" => git::diff(bench, call).await,
        "git.commit" => git::commit(bench, call).await,
        "git.apply" => git::apply(bench, call).await,
        "files.read" => files::read(bench, call).await,
        "files.write" => files::write(bench, call).await,
        "files.glob" => files::glob(bench, call).await,
        "http.get" => http::get(bench, call).await,
        "json.query" => query::run(bench, call).await,
        "template" => template::run(bench, call).await,
        "artifact.search" => search::run(bench, call).await,
        "human.approve" => approve::run(bench, call).await,
        other => {
            let message = format!("there is no operator `{other}`");
            Err(NodeError::new(FailureKind::BadInput, message))
        }
    }
}

/// The session that does the work of an action.
pub(super) fn session_of_key(key: &str) -> String {
    format!("pit-{}", key.get(..32).unwrap_or(key))
}
