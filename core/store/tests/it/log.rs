use podium_store::{Durability, NewEvent, Store, StoreError, purge_events};
use serde_json::json;

use crate::open;

async fn emit(store: &Store, kind: &'static str, n: u32) -> u64 {
    store
        .write(Durability::Process, move |tx| tx.emit(&NewEvent::new(kind, "x/1", json!({ "n": n }))))
        .await
        .unwrap()
}

#[tokio::test]
async fn the_head_wakes_readers_after_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let mut head = store.watch_head();
    let seq = emit(&store, "a.b", 1).await;
    assert_eq!(*head.wait_for(|h| *h >= seq).await.unwrap(), seq);
    let page = store.events(0, vec![], 10).await.unwrap();
    assert_eq!((page.events.len(), page.events[0].kind.as_str(), page.at_end), (1, "a.b", true));
    assert_eq!(page.events[0].data, json!({ "n": 1 }));
}

#[tokio::test]
async fn a_filter_takes_exact_names_and_families() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for (i, kind) in
        ["worktree.created", "session.started", "worktree.claimed", "worktreex"].iter().enumerate()
    {
        emit(&store, kind, u32::try_from(i).unwrap()).await;
    }
    let kinds = |types: &[&str]| {
        let types = types.iter().map(|t| (*t).to_owned()).collect();
        let store = store.clone();
        async move {
            let page = store.events(0, types, 10).await.unwrap();
            page.events.into_iter().map(|e| e.kind).collect::<Vec<_>>()
        }
    };
    assert_eq!(kinds(&["worktree.*"]).await, ["worktree.created", "worktree.claimed"]);
    assert_eq!(kinds(&["session.started"]).await, ["session.started"]);
}

#[tokio::test]
async fn pages_join_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for n in 0..25 {
        emit(&store, "a.b", n).await;
    }
    let (mut from, mut seen) = (0, Vec::new());
    loop {
        let page = store.events(from, vec![], 10).await.unwrap();
        seen.extend(page.events.iter().map(|e| e.seq));
        from = page.scanned_to;
        if page.at_end {
            break;
        }
    }
    assert_eq!(seen, (1..=25).collect::<Vec<u64>>());
}

#[tokio::test]
async fn purging_keeps_the_head_and_tells_what_is_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for n in 0..3 {
        emit(&store, "a.b", n).await;
    }
    store.write::<_, StoreError>(Durability::Process, |tx| purge_events(tx, i64::MAX)).await.unwrap();
    assert_eq!(store.oldest_event().await.unwrap(), 3);
    drop(store);
    assert_eq!(open(&dir).head(), 3);
}
