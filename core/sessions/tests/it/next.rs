use std::sync::Arc;

use podium_protocol::{ErrorKind, SessionListParams, SessionStatus, WireError};
use podium_sessions::{Attachment, Bounds, Next, SessionError, Start, StopCause, WorktreeRef};

use crate::script::Script;
use crate::{Bed, ask, assert_gapless, bed, follow, text};

const SAID: &str = "one two three four five six seven eight nine ten";

async fn until_said(bed: &Bed, id: &str, said: &str) {
    let Attachment::Live(mut updates) = bed.sessions.attach(id) else { panic!("it runs") };
    while text(&bed.sessions.items(id, 0).await.unwrap().0) != said {
        updates.recv().await.unwrap();
    }
}

#[tokio::test]
async fn bounds_hold_for_the_turn_they_come_with_and_those_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = Script::of(SAID);
    let asked = Arc::clone(&script.asked);
    let bed = bed(dir.path(), "a", Arc::new(script));
    let start = Start { seed: Some(7), max_tokens: Some(30), ..ask("count") };
    let id = bed.sessions.start(start).await.unwrap().id;
    follow(&bed.sessions, &id).await;
    let bounds = Bounds { max_tokens: Some(9), temperature: Some(0.25), ..Bounds::default() };
    for bounds in [bounds, Bounds::default()] {
        let next = Next { prompt: Some("more".into()), bounds, ..Next::default() };
        bed.sessions.go_on(&id, next, Default::default()).await.unwrap();
        follow(&bed.sessions, &id).await;
    }
    let first = Bounds { seed: Some(7), max_tokens: Some(30), temperature: None };
    let later = Bounds { seed: Some(7), max_tokens: Some(9), temperature: Some(0.25) };
    assert_eq!(*asked.lock().unwrap(), [first, later, later]);
}

#[tokio::test]
async fn bounds_without_a_turn_they_could_be_for_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let id = bed.sessions.start(ask("count")).await.unwrap().id;
    follow(&bed.sessions, &id).await;
    let bounds = Bounds { seed: Some(1), ..Bounds::default() };
    let answer = bed.sessions.go_on(&id, Next { bounds, ..Next::default() }, Default::default()).await;
    assert!(matches!(answer, Err(SessionError::Invalid(_))), "{answer:?}");
}

#[tokio::test]
async fn what_a_person_cancelled_goes_on_only_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 4)));
        let id = bed.sessions.start(ask("count")).await.unwrap().id;
        until_said(&bed, &id, "one two three four ").await;
        bed.sessions.cancel(&id).await.unwrap();
        id
    };
    let bed = bed(dir.path(), "b", Arc::new(Script::of(SAID)));
    let before = bed.sessions.show(Some(&id), 0).await.unwrap();
    let error = bed.sessions.resume(&id, None, Default::default()).await.unwrap_err();
    assert!(matches!(error, SessionError::Cancelled(_)), "{error}");
    let wire = WireError::from(error);
    assert_eq!(wire.kind, ErrorKind::Conflict);
    assert!(wire.hints[0].contains("--prompt") && wire.hints[1].contains("--again"), "{wire:?}");
    assert_eq!(bed.sessions.show(Some(&id), 0).await.unwrap(), before, "nothing was generated");
    let next = Next { again: true, ..Next::default() };
    bed.sessions.go_on(&id, next, Default::default()).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), (SAID, SessionStatus::Completed));
}

#[tokio::test]
async fn a_model_that_does_not_exist_makes_no_session() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let start = |model: &str| Start { model: Some(model.to_owned()), ..ask("count") };
    let error = WireError::from(bed.sessions.start(start("nosuch")).await.unwrap_err());
    assert_eq!((error.kind, error.hints[0].as_str()), (ErrorKind::NotFound, "models: tale, poem"));
    assert!(error.message.contains("nosuch"), "{error:?}");
    assert!(bed.sessions.list(SessionListParams::default()).await.unwrap().is_empty());
    let id = bed.sessions.start(start("Poem")).await.unwrap().id;
    assert_eq!(follow(&bed.sessions, &id).await.1.status, SessionStatus::Completed);
}

#[tokio::test]
async fn a_turn_whose_worktree_goes_is_interrupted_and_the_others_run_on() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 1)));
    let start = |name: &str| Start {
        worktree: Some(WorktreeRef {
            id: format!("id-{name}"),
            repo: "r".into(),
            name: name.into(),
            path: dir.path().join(name),
        }),
        ..ask("count")
    };
    let here = bed.sessions.start(start("here")).await.unwrap().id;
    let there = bed.sessions.start(start("there")).await.unwrap().id;
    let found = bed.sessions.running_in("id-here").await.unwrap();
    assert_eq!(found, std::slice::from_ref(&here));
    bed.sessions.interrupt(&found, StopCause::WorktreeRemoved).await;
    let info = bed.sessions.info(&here).await.unwrap();
    assert_eq!(
        (info.status, info.reason.as_deref()),
        (SessionStatus::Interrupted, Some("its worktree was removed"))
    );
    assert!(bed.sessions.is_running(&there));
    bed.sessions.cancel(&there).await.unwrap();
}
