use std::io::Read as _;

use podium_store::{Durability, NewEvent, StoreError};
use serde_json::json;

use crate::open;

async fn count(store: &podium_store::Store) -> i64 {
    store
        .read::<_, StoreError>(|c| Ok(c.query_row("SELECT count(*) FROM inbox", [], |r| r.get(0))?))
        .await
        .unwrap()
}

fn insert(tx: &podium_store::Tx<'_>, id: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO inbox (id, agent_id, question, asked_at) VALUES (?1, 'a', 'q', ?2)";
    tx.execute(sql, podium_store::rusqlite::params![id, tx.now])?;
    Ok(())
}

#[tokio::test]
async fn an_error_rolls_back_its_own_request_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let good = store.write(Durability::Process, |tx| insert(tx, "good"));
    let bad = store.write::<(), _>(Durability::Process, |tx| {
        insert(tx, "bad")?;
        tx.emit(&NewEvent::new("x.y", "x/1", json!({})))?;
        Err(StoreError::Closed)
    });
    let (good, bad) = tokio::join!(good, bad);
    good.unwrap();
    bad.unwrap_err();
    assert_eq!((count(&store).await, store.head()), (1, 0));
}

#[tokio::test]
async fn a_panic_in_a_request_leaves_the_store_usable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let failed = store
        .write::<(), StoreError>(Durability::Process, |tx| {
            insert(tx, "x")?;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(failed, Err(StoreError::NotCommitted { .. })));
    store.write(Durability::Power, |tx| insert(tx, "y")).await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_write_that_answered_is_there_after_the_store_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.write(Durability::Power, |tx| insert(tx, "x")).await.unwrap();
    store.close();
    assert!(matches!(store.write(Durability::Power, |tx| insert(tx, "y")).await, Err(StoreError::Closed)));
    assert_eq!(count(&open(&dir)).await, 1);
}

#[tokio::test]
async fn a_sequence_rises_and_a_rolled_back_value_is_given_out_again_or_skipped_but_never_lowered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let next = |keep: bool| {
        store.write::<u64, StoreError>(Durability::Power, move |tx| {
            let value = tx.next_in("fence")?;
            if keep { Ok(value) } else { Err(StoreError::Closed) }
        })
    };
    assert_eq!(next(true).await.unwrap(), 1);
    next(false).await.unwrap_err();
    assert_eq!(next(true).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_answered_finds_its_event_whatever_it_is_to_survive() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..200 {
        let store = store.clone();
        let durability = if n % 3 == 0 { Durability::Power } else { Durability::Process };
        writers.spawn(async move {
            let emit = store.write::<u64, StoreError>(durability, move |tx| {
                insert(tx, &n.to_string())?;
                tx.emit(&NewEvent::new("x.y", format!("x/{n}"), json!({})))
            });
            let seq = emit.await.unwrap();
            assert!(store.head() >= seq, "event {seq} is not told of yet");
        });
    }
    while let Some(outcome) = writers.join_next().await {
        outcome.unwrap();
    }
    assert_eq!((count(&store).await, store.head()), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_in_the_middle_leaves_what_was_answered_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    let mut writers = tokio::task::JoinSet::new();
    let (begin, begun) = tokio::sync::watch::channel(0);
    for n in 0..50 {
        let (store, begin) = (store.clone(), begin.clone());
        writers.spawn(async move {
            let answer = store.write(Durability::Power, move |tx| insert(tx, &n.to_string()));
            begin.send_modify(|count| *count += 1);
            answer.await
        });
    }
    begun.clone().wait_for(|count| *count > 10).await.unwrap();
    store.close();
    let mut stored = 0;
    while let Some(outcome) = writers.join_next().await {
        // A write that came behind the close is refused.
        stored += i64::from(outcome.unwrap().is_ok());
    }
    drop(store);
    assert_eq!(count(&open(&dir)).await, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_begins_anew_although_somebody_always_writes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    // It is named by the salts in its header, which a new beginning changes (SQLite file format, 4.1).
    let salts = || {
        let mut header = [0; 24];
        std::fs::File::open(format!("{}-wal", store.path().display()))
            .unwrap()
            .read_exact(&mut header)
            .unwrap();
        header[16..].to_vec()
    };
    let (first, mut written) = (salts(), 0);
    while salts() == first {
        assert!(written < 900, "{written} times 100 kB are in one log");
        let write = store.write::<(), StoreError>(Durability::Process, move |tx| {
            let sql = "INSERT INTO inbox (id, agent_id, question, asked_at) VALUES (?1, 'a', ?2, 0)";
            tx.execute(sql, podium_store::rusqlite::params![written.to_string(), "x".repeat(100_000)])?;
            Ok(())
        });
        write.await.unwrap();
        written += 1;
    }
    assert_eq!(count(&store).await, written);
}
