use std::sync::Arc;

use podium_protocol::{ItemKind, SessionStatus};
use podium_sessions::{Attachment, SessionError, Start, StopCause};
use podium_store::{Durability, StoreError};

use crate::script::Script;
use crate::{ask, assert_gapless, bed, follow, text};

const SAID: &str = "one two three four five six seven eight nine ten";

/// Runs until `said` is stored, then stops as a daemon does that is asked to.
async fn run_up_to(bed: &crate::Bed, id: &str, said: &str, cause: StopCause) {
    let Attachment::Live(mut updates) = bed.sessions.attach(id) else { panic!("it runs") };
    while text(&bed.sessions.items(id, 0).await.unwrap().0) != said {
        updates.recv().await.unwrap();
    }
    bed.sessions.interrupt_all(cause).await;
}

#[tokio::test]
async fn an_interrupted_answer_goes_on_without_gap_or_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 4)));
        let id = bed.sessions.start(ask("count")).await.unwrap().id;
        run_up_to(&bed, &id, "one two three four ", StopCause::DaemonStopped).await;
        let info = bed.sessions.info(&id).await.unwrap();
        assert_eq!(
            (info.status, info.reason.as_deref()),
            (SessionStatus::Interrupted, Some("daemon stopped"))
        );
        id
    };
    let bed = bed(dir.path(), "b", Arc::new(Script::of(SAID)));
    bed.sessions.resume(&id, None, Default::default()).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), (SAID, SessionStatus::Completed));
}

#[tokio::test]
async fn a_session_of_a_daemon_that_was_killed_is_found_as_interrupted_and_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 3)));
    let id = first.sessions.start(ask("count")).await.unwrap().id;
    let Attachment::Live(mut updates) = first.sessions.attach(&id) else { panic!("it runs") };
    while text(&first.sessions.items(&id, 0).await.unwrap().0) != "one two three " {
        updates.recv().await.unwrap();
    }
    // The first daemon never says goodbye: its turn is still held when the next one opens the store.
    let second = bed(dir.path(), "b", Arc::new(Script::of(SAID)));
    assert_eq!(second.sessions.recover().await.unwrap(), 1);
    assert_eq!(second.sessions.info(&id).await.unwrap().status, SessionStatus::Interrupted);
    assert_eq!(second.sessions.newest_to_continue(None, None, false).await.unwrap(), id);
    second.sessions.resume(&id, None, Default::default()).await.unwrap();
    let (items, _) = follow(&second.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!(text(&items), SAID);
}

#[tokio::test]
async fn a_secret_that_was_held_back_at_the_crash_is_not_shown_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let said = "the key is hunter2 secret42 ok";
    let env = std::collections::BTreeMap::from([("DB_PASSWORD".to_owned(), "hunter2 secret42".to_owned())]);
    let id = {
        let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(said, 4)));
        let id = bed.sessions.start(Start { env: env.clone(), ..ask("p") }).await.unwrap().id;
        run_up_to(&bed, &id, "the key is ", StopCause::DaemonStopped).await;
        id
    };
    let bed = bed(dir.path(), "b", Arc::new(Script::of(said)));
    bed.sessions.resume(&id, None, env).await.unwrap();
    let (items, _) = follow(&bed.sessions, &id).await;
    assert_eq!(text(&items), "the key is [redacted:DB_PASSWORD] ok");
}

#[tokio::test]
async fn a_second_turn_follows_the_first_and_a_finished_session_is_answered_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let id = bed.sessions.start(ask("count")).await.unwrap().id;
    let (before, _) = follow(&bed.sessions, &id).await;
    let same = bed.sessions.resume(&id, None, Default::default()).await.unwrap();
    assert_eq!((same.status, same.last_seq), (SessionStatus::Completed, before.len() as u64));
    bed.sessions.resume(&id, Some("again"), Default::default()).await.unwrap();
    let (items, _) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!(items.iter().filter(|i| i.kind == ItemKind::Prompt).count(), 2);
    assert_eq!(text(&items), SAID.repeat(2));
    let newest = |next| bed.sessions.newest_to_continue(None, None, next);
    assert!(matches!(newest(false).await, Err(SessionError::NothingToContinue)));
    assert_eq!(newest(true).await.unwrap(), id);
}

#[tokio::test]
async fn a_running_session_is_not_taken_by_continue_nor_given_a_second_turn() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 1)));
    let id = bed.sessions.start(ask("count")).await.unwrap().id;
    assert!(matches!(
        bed.sessions.newest_to_continue(None, None, false).await,
        Err(SessionError::Running(_))
    ));
    let turn = bed.sessions.resume(&id, Some("more"), Default::default()).await;
    assert!(matches!(turn, Err(SessionError::Running(_))));
    assert_eq!(
        bed.sessions.resume(&id, None, Default::default()).await.unwrap().status,
        SessionStatus::InProgress
    );
    bed.sessions.cancel(&id).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_in_mid_answer_shows_nothing_that_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(&"word ".repeat(20_000))));
    let id = bed.sessions.start(ask("p")).await.unwrap().id;
    bed.store
        .write::<(), StoreError>(Durability::Power, |tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |r| r.get(0))?;
            tx.pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert!(matches!(end.status, SessionStatus::Failed | SessionStatus::Interrupted), "{:?}", end.status);
    let mut stored = Vec::new();
    loop {
        let from = stored.last().map_or(0, |i: &podium_protocol::SessionItem| i.seq);
        let (page, more) = bed.sessions.items(&id, from).await.unwrap();
        stored.extend(page);
        if !more {
            break;
        }
    }
    assert!(stored.len() >= items.len());
    assert_eq!(stored[..items.len()], items[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_resume_at_one_time_one_does_it_and_all_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 4)));
        let id = bed.sessions.start(ask("count")).await.unwrap().id;
        run_up_to(&bed, &id, "one two three four ", StopCause::DaemonStopped).await;
        id
    };
    let bed = bed(dir.path(), "b", Arc::new(Script::of(SAID)));
    let resumed: Vec<_> = (0..20)
        .map(|_| {
            let (sessions, id) = (bed.sessions.clone(), id.clone());
            tokio::spawn(async move { sessions.resume(&id, None, Default::default()).await })
        })
        .collect();
    for task in resumed {
        task.await.unwrap().unwrap();
    }
    let (items, _) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!(text(&items), SAID);
}
