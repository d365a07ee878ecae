//! What the executor calls for each node: the operators, within the run that the node belongs to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podium_pit::dag::{FailureKind, NodeCall, NodeError, NodeRunner};
use serde_json::{Map, Value};

use super::operators::{self, Bench};

/// Runs the nodes of all runs.
#[derive(Default)]
pub(super) struct Operators {
    benches: Mutex<HashMap<String, Arc<Bench>>>,
}

impl Operators {
    pub(super) fn open(&self, run: &str, bench: Arc<Bench>) {
        self.table().insert(run.to_owned(), bench);
    }

    pub(super) fn close(&self, run: &str) {
        self.table().remove(run);
    }

    pub(super) fn bench(&self, run: &str) -> Option<Arc<Bench>> {
        self.table().get(run).cloned()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Bench>>> {
        self.benches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeRunner for Operators {
    fn run(&self, call: NodeCall) -> BoxFuture<'static, Result<Map<String, Value>, NodeError>> {
        let bench = self.bench(call.run.as_str());
        async move {
            let gone = || NodeError::new(FailureKind::Internal, "the run is over");
            operators::run(bench.ok_or_else(gone)?.as_ref(), &call).await
        }
        .boxed()
    }
}
