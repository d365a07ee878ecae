//! The artifact store from outside.
#![expect(clippy::unwrap_used, reason = "tests")]

mod search;

use std::path::Path;

use podium_artifacts::{Artifacts, NewArtifact};
use podium_store::{Options, Store};

fn open(dir: &Path) -> (Store, Artifacts) {
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    let artifacts = Artifacts::open(store.clone(), &dir.join("artifacts"), &dir.join("views")).unwrap();
    (store, artifacts)
}

fn text(title: &str, content: &str) -> NewArtifact {
    NewArtifact {
        title: title.into(),
        kind: "report".into(),
        media_type: "text/markdown".into(),
        content: content.as_bytes().to_vec(),
        session: Some("s1".into()),
        worktree: None,
    }
}
