use podium_protocol::{ErrorKind, WireError};
use podium_store::{Durability, Options, Store, StoreError, rusqlite::Connection};

#[test]
fn a_file_that_is_no_database_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.db");
    std::fs::write(&path, "this is not a database, but it is somebody's file, long enough for a header page")
        .unwrap();
    let error = Store::open(&Options { path: path.clone() }).err().unwrap();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("this is not"));
    let wire = WireError::from(error);
    assert_eq!(wire.kind, ErrorKind::Unavailable);
    assert!(!wire.hints.is_empty());
}

#[test]
fn a_torn_page_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.db");
    drop(Store::open(&Options { path: path.clone() }).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[4096..12288] {
        *byte = 0xAA;
    }
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(Store::open(&Options { path }), Err(StoreError::Corrupt { .. })));
}

#[test]
fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.db");
    drop(Store::open(&Options { path: path.clone() }).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 4_000).unwrap();
    assert!(matches!(Store::open(&Options { path }), Err(StoreError::Newer { found: 4_000, .. })));
}

#[tokio::test]
async fn a_full_disk_fails_the_request_and_keeps_what_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let store = crate::open(&dir);
    let fill = |n: usize| {
        store.write::<(), StoreError>(Durability::Power, move |tx| {
            let sql = "INSERT INTO inbox (id, agent_id, question, asked_at) VALUES (?1, 'a', ?2, 0)";
            tx.execute(sql, podium_store::rusqlite::params![n.to_string(), "x".repeat(100_000)])?;
            Ok(())
        })
    };
    fill(0).await.unwrap();
    // SQLite's own page limit fails exactly as a full disk does.
    store
        .write::<(), StoreError>(Durability::Power, |tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |r| r.get(0))?;
            tx.pragma_update_and_check(None, "max_page_count", pages + 30, |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    let mut failed = None;
    for n in 1..10 {
        if let Err(error) = fill(n).await {
            failed = Some((n, error));
            break;
        }
    }
    let (n, error) = failed.unwrap();
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    let rows: usize = store
        .read::<_, StoreError>(|c| Ok(c.query_row("SELECT count(*) FROM inbox", [], |r| r.get(0))?))
        .await
        .unwrap();
    assert_eq!(rows, n);
}
