//! Events of others and queues of tasks, on a real store.
#![expect(clippy::unwrap_used, reason = "tests")]

mod publishing;
mod queues;

use std::collections::BTreeMap;

use podium_broker::{BrokerError, Publication, Published, Publisher, Tasks, publish};
use podium_protocol::{Event, EventPublishParams};
use podium_secrets::Redactor;
use podium_store::{Options, Store};
use serde_json::Value;

struct Bed {
    _folder: tempfile::TempDir,
    store: Store,
    tasks: Tasks,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Options { path: folder.path().join("p.db") }).unwrap();
        Self { tasks: Tasks::new(store.clone()), _folder: folder, store }
    }

    async fn publish(&self, kind: &str, data: Value) -> Result<Published, BrokerError> {
        self.publish_as(&person(), params(kind, data)).await
    }

    async fn publish_as(&self, by: &Publisher, params: EventPublishParams) -> Result<Published, BrokerError> {
        let known = BTreeMap::from([("DEPLOY_TOKEN".to_owned(), "tok-5f2a9c7710".to_owned())]);
        let publication = Publication::new(params, by, &Redactor::for_session(&known, None))?;
        publish(&self.tasks, publication).await
    }

    async fn log(&self, kind: &str) -> Vec<Event> {
        self.store.events(0, vec![kind.to_owned()], 1000).await.unwrap().events
    }
}

fn person() -> Publisher {
    Publisher::Person { name: "person:ann@box".into() }
}

fn params(kind: &str, data: Value) -> EventPublishParams {
    EventPublishParams { kind: kind.into(), data, ..EventPublishParams::default() }
}
