use std::sync::Arc;

use podium_protocol::{
    ArtifactSearchParams, ErrorKind, ItemKind, SessionListParams, SessionStatus, WireError,
};
use podium_sessions::{Attachment, SessionError, Start, Update};

use tokio::sync::broadcast::error::RecvError;

use crate::script::Script;
use crate::{ask, assert_gapless, bed, follow, text};

const SAID: &str = "the keeper climbs the stairs every evening";

#[tokio::test]
async fn an_answer_is_stored_item_by_item_and_becomes_an_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let started = bed.sessions.start(ask("Who climbs?\nsecond line")).await.unwrap();
    assert_eq!((started.provider.as_str(), started.last_seq), ("script", 1));
    let (items, end) = follow(&bed.sessions, &started.id).await;
    assert_gapless(&items);
    assert_eq!(text(&items), SAID);
    assert_eq!(items[0].kind, ItemKind::Prompt);
    assert_eq!(items.iter().filter(|i| i.is_final).count(), 1);
    assert_eq!((end.status, end.usage.output_tokens), (SessionStatus::Completed, 7));
    let shown = bed.sessions.show(Some(&started.id), 0).await.unwrap();
    assert_eq!(shown.items, items);
    assert_eq!(shown.session.title, "Who climbs?");
    let found = bed
        .artifacts
        .search(ArtifactSearchParams { query: "keeper evening".into(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!((Some(&found[0].id), found[0].session.as_ref()), (end.artifact.as_ref(), Some(&started.id)));
    let kinds: Vec<String> =
        bed.store.events(0, vec![], 50).await.unwrap().events.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["session.started", "session.checkpoint", "artifact.stored", "session.ended"]);
}

#[tokio::test]
async fn nothing_is_shown_that_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(&"word ".repeat(300))));
    let started = bed.sessions.start(ask("p")).await.unwrap();
    let Attachment::Live(mut updates) = bed.sessions.attach(&started.id) else { panic!("it runs") };
    let mut seen = 0;
    while let Ok(update) = updates.recv().await {
        match update {
            Update::Items(items) => {
                let (stored, _) = bed.sessions.items(&started.id, items[0].seq - 1).await.unwrap();
                assert_eq!(stored[..items.len()], items[..]);
                seen += 1;
            }
            Update::End(_) => break,
            Update::Progress(_) | Update::Health(_) | Update::Context(_) => {}
        }
    }
    assert!(seen > 0);
}

#[tokio::test]
async fn a_cancelled_session_keeps_what_it_said() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::holding_at(SAID, 3)));
    let started = bed.sessions.start(ask("p")).await.unwrap();
    let Attachment::Live(mut updates) = bed.sessions.attach(&started.id) else { panic!("it runs") };
    while !text(&bed.sessions.items(&started.id, 0).await.unwrap().0).ends_with("climbs ") {
        updates.recv().await.unwrap();
    }
    let (_, status) = bed.sessions.cancel(&started.id).await.unwrap();
    assert_eq!(status, SessionStatus::Cancelled);
    let (items, end) = follow(&bed.sessions, &started.id).await;
    assert_eq!((text(&items).as_str(), end.status), ("the keeper climbs ", SessionStatus::Cancelled));
    let again = bed.sessions.cancel(&started.id).await;
    assert!(matches!(again, Err(SessionError::Over { .. })));
}

#[tokio::test]
async fn a_failure_is_an_item_and_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script { fail_at: Some(2), ..Script::of(SAID) }));
    let started = bed.sessions.start(ask("p")).await.unwrap();
    let (items, end) = follow(&bed.sessions, &started.id).await;
    assert_gapless(&items);
    assert_eq!((end.status, end.reason.as_deref()), (SessionStatus::Failed, Some("out of words")));
    assert_eq!(items.last().unwrap().kind, ItemKind::Error);
}

#[tokio::test]
async fn a_given_id_is_used_once_and_a_repeated_request_finds_its_session() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let start = |retry| Start { id: Some("task-1".into()), retry, ..ask("p") };
    bed.sessions.start(start(false)).await.unwrap();
    follow(&bed.sessions, "task-1").await;
    assert!(matches!(bed.sessions.start(start(false)).await, Err(SessionError::Exists(_))));
    assert_eq!(bed.sessions.start(start(true)).await.unwrap().id, "task-1");
    assert_eq!(bed.sessions.list(SessionListParams::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn bad_requests_are_told_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script { usable: false, ..Script::of(SAID) }));
    for id in ["../x", "", "-x", "a b", &"x".repeat(65)] {
        let start = Start { id: Some(id.to_owned()), ..ask("p") };
        assert!(matches!(bed.sessions.start(start).await, Err(SessionError::Invalid(_))), "{id:?}");
    }
    assert!(matches!(bed.sessions.start(ask(" \n")).await, Err(SessionError::Invalid(_))));
    let unknown = Start { provider: Some("gpt".into()), ..ask("p") };
    let error = WireError::from(bed.sessions.start(unknown).await.unwrap_err());
    assert_eq!((error.kind, error.hints[0].as_str()), (ErrorKind::NotFound, "providers: script"));
    let error = WireError::from(bed.sessions.start(ask("p")).await.unwrap_err());
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hints.iter().any(|h| h.contains("jelmore providers")));
}

#[tokio::test]
async fn sessions_are_found_by_words_of_title_and_transcript() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let started = bed.sessions.start(ask("About towers")).await.unwrap();
    follow(&bed.sessions, &started.id).await;
    let find = |query: &str| {
        let params = SessionListParams { query: Some(query.into()), ..Default::default() };
        let sessions = bed.sessions.clone();
        async move { sessions.list(params).await.unwrap().len() }
    };
    assert_eq!((find("towers").await, find("keeper").await, find("100%").await), (1, 1, 0));
}

#[tokio::test]
async fn a_secret_in_a_prompt_is_neither_stored_nor_sent() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(SAID)));
    let env = std::collections::BTreeMap::from([("MY_API_KEY".to_owned(), "k-1234567890abcdef".to_owned())]);
    let start = Start { env, ..ask("Why does k-1234567890abcdef not work?") };
    let id = bed.sessions.start(start).await.unwrap().id;
    follow(&bed.sessions, &id).await;
    let shown = bed.sessions.show(Some(&id), 0).await.unwrap();
    assert_eq!(shown.session.title, "Why does [redacted:MY_API_KEY] not work?");
    assert_eq!(shown.items[0].text, shown.session.title);
}

#[tokio::test]
async fn an_answer_that_goes_on_has_checkpoints_in_its_middle() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of(&"word ".repeat(1_000_000))));
    let started = bed.sessions.start(ask("p")).await.unwrap();
    let Attachment::Live(mut updates) = bed.sessions.attach(&started.id) else { panic!("it runs") };
    let made = loop {
        match updates.recv().await {
            Ok(Update::Items(items)) => {
                if let Some(item) = items.iter().find(|item| item.kind == ItemKind::Checkpoint) {
                    break item.clone();
                }
            }
            Ok(Update::Progress(_)) | Err(RecvError::Lagged(_)) => {}
            other => panic!("it ended before a checkpoint: {other:?}"),
        }
    };
    assert_eq!(made.data.unwrap()["seq"], made.seq - 1);
    let newest = bed.sessions.info(&started.id).await.unwrap().checkpoint.unwrap();
    assert!(newest.seq >= made.seq - 1, "{newest:?}");
    let (_, status) = bed.sessions.cancel(&started.id).await.unwrap();
    assert_eq!(status, SessionStatus::Cancelled);
}
