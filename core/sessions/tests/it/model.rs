//! The real local model behind the real provider. The weights are fetched once into the user's cache.

use std::path::PathBuf;
use std::sync::Arc;

use podium_config::{Home, Live};
use podium_models::fetch::{FetchEnvironment, fetch};
use podium_models::{ModelCache, catalogue};
use podium_protocol::SessionStatus;
use podium_sessions::local::{Local, ModelHost};
use podium_sessions::{Attachment, Start, StopCause, Update};
use tokio_util::sync::CancellationToken;

use crate::{Bed, ask, assert_gapless, bed, follow, text};

async fn weights() -> PathBuf {
    let folder = Home::from_process().unwrap().models().to_owned();
    let cache = ModelCache::new(&folder);
    let environment = FetchEnvironment::from_variables(std::env::vars_os());
    let entry = catalogue::find("smollm2-135m").unwrap();
    fetch(&cache, entry, &environment, &mut |_| {}, &CancellationToken::new()).await.unwrap();
    folder
}

fn local(dir: &std::path::Path, weights: &std::path::Path, instance: &str) -> Bed {
    let host = ModelHost::new(weights, Arc::new(Live::defaults()));
    bed(dir, instance, Arc::new(Local::new(host)))
}

fn story() -> Start {
    Start { seed: Some(7), max_tokens: Some(60), ..ask("Tell a short story about a lighthouse.") }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cut_at_any_place_ends_as_the_undisturbed_one() {
    let weights = weights().await;
    let dir = tempfile::tempdir().unwrap();
    let whole = local(dir.path(), &weights, "whole");
    let id = whole.sessions.start(story()).await.unwrap().id;
    let (items, end) = follow(&whole.sessions, &id).await;
    assert_eq!(end.status, SessionStatus::Completed);
    let undisturbed = text(&items);
    assert!(undisturbed.len() > 40, "{undisturbed:?}");

    let mut id = None;
    for (round, cut) in [3, 11, 30].into_iter().enumerate() {
        let bed = local(&dir.path().join("cut"), &weights, &format!("d{round}"));
        bed.sessions.recover().await.unwrap();
        match &id {
            None => id = Some(bed.sessions.start(story()).await.unwrap().id),
            Some(id) => drop(bed.sessions.resume(id, None, Default::default()).await.unwrap()),
        }
        let Attachment::Live(mut updates) = bed.sessions.attach(id.as_ref().unwrap()) else {
            panic!("it runs")
        };
        loop {
            match updates.recv().await.unwrap() {
                Update::Items(items) if items.iter().any(|item| item.seq >= cut) => break,
                Update::End(end) => panic!("it ended before the cut: {end:?}"),
                _ => {}
            }
        }
        bed.sessions.interrupt_all(StopCause::DaemonStopped).await;
    }
    let bed = local(&dir.path().join("cut"), &weights, "last");
    let id = id.unwrap();
    bed.sessions.resume(&id, None, Default::default()).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_eq!(end.status, SessionStatus::Completed);
    assert_gapless(&items);
    assert_eq!(text(&items), undisturbed);
}
