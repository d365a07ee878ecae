//! Sessions from outside: a scripted provider over a real store.
#![expect(clippy::unwrap_used, reason = "tests")]

mod acp;
mod acp_faults;
mod agents;
mod anthropic;
mod bad_streams;
mod budget;
mod command;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod confinement;
mod health;
mod inbox;
mod lifecycle;
mod lodgings;
mod model;
mod next;
mod openai;
mod paths;
mod permission;
mod resume;
mod rewind;
mod rewind_crashes;
mod script;
mod search;
mod toolbox;
mod tools;
mod window;
mod wire;

use std::path::Path;
use std::sync::Arc;

use podium_artifacts::Artifacts;
use podium_config::Live;
use podium_protocol::{ItemKind, SessionEnd, SessionItem};
use podium_sessions::{Attachment, Keys, Provider, Sessions, Settings, Start, Update};
use podium_store::{Options, Store};

/// One daemon's worth of services.
struct Bed {
    store: Store,
    artifacts: Artifacts,
    sessions: Sessions,
}

fn bed(dir: &Path, instance: &str, provider: Arc<dyn Provider>) -> Bed {
    std::fs::create_dir_all(dir).unwrap();
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    let artifacts = Artifacts::open(store.clone(), &dir.join("a"), &dir.join("v")).unwrap();
    let settings = Settings {
        instance: instance.to_owned(),
        config: Arc::new(Live::defaults()),
        providers: vec![provider],
        toolkit: None,
        keys: Keys::new(dir),
    };
    let sessions = Sessions::new(store.clone(), artifacts.clone(), settings);
    Bed { store, artifacts, sessions }
}

fn ask(prompt: &str) -> Start {
    Start { prompt: prompt.to_owned(), ..Start::default() }
}

/// Follows a session to its end: what was stored, what came live, how it ended.
async fn follow(sessions: &Sessions, id: &str) -> (Vec<SessionItem>, SessionEnd) {
    let attachment = sessions.attach(id);
    let mut items = sessions.items(id, 0).await.unwrap().0;
    if let Attachment::Live(mut updates) = attachment {
        while let Ok(update) = updates.recv().await {
            match update {
                Update::Items(told) => {
                    let seen = items.last().map_or(0, |last| last.seq);
                    items.extend(told.iter().filter(|item| item.seq > seen).cloned());
                }
                Update::End(end) => return (items, end),
                Update::Progress(_) | Update::Health(_) | Update::Context(_) => {}
            }
        }
    }
    let info = sessions.info(id).await.unwrap();
    let end = SessionEnd {
        status: info.status,
        reason: info.reason,
        usage: info.usage,
        files_changed: Vec::new(),
        artifact: info.artifact,
    };
    (sessions.items(id, 0).await.unwrap().0, end)
}

fn text(items: &[SessionItem]) -> String {
    items.iter().filter(|i| i.kind == ItemKind::Text).map(|i| i.text.as_str()).collect()
}

fn assert_gapless(items: &[SessionItem]) {
    let odd = items.iter().zip(1..).find(|(item, seq)| item.seq != *seq);
    assert!(odd.is_none(), "item {} where {} belongs", odd.unwrap().0.seq, odd.unwrap().1);
}
