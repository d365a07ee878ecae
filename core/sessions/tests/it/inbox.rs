use std::sync::Arc;

use podium_protocol::{InboxDecision, InboxScope};
use podium_sessions::{Inbox, SessionError};

use crate::bed;
use crate::script::Script;

#[tokio::test]
async fn a_question_waits_until_it_is_answered_and_is_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of("x")));
    let inbox = Inbox::new(bed.store.clone());
    let asked = inbox.ask("agent-1".into(), None, "May I?".into()).await.unwrap();
    assert_eq!(inbox.list(false).await.unwrap(), vec![asked.clone()]);
    let answered =
        inbox.answer(asked.id.clone(), InboxDecision::Allow, InboxScope::Once, "me".into()).await.unwrap();
    assert_eq!(answered.decision, Some(InboxDecision::Allow));
    let again = inbox.answer(asked.id.clone(), InboxDecision::Deny, InboxScope::Once, "me".into()).await;
    assert!(matches!(again, Err(SessionError::Answered { .. })));
    assert!(inbox.list(false).await.unwrap().is_empty());
    assert!(matches!(
        inbox.answer("nope".into(), InboxDecision::Deny, InboxScope::Once, "me".into()).await,
        Err(SessionError::NoQuestion(_))
    ));
    let kinds: Vec<String> =
        bed.store.events(0, vec![], 9).await.unwrap().events.into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["inbox.asked", "inbox.answered"]);
}

#[tokio::test]
async fn one_agent_cannot_fill_the_inbox() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(Script::of("x")));
    let inbox = Inbox::new(bed.store.clone());
    assert!(inbox.ask("a".into(), None, " ".into()).await.is_err());
    assert!(inbox.ask("a".into(), None, "x".repeat(2_001)).await.is_err());
    let mut taken = 0;
    while inbox.ask("a".into(), None, "q".into()).await.is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 50);
    inbox.ask("b".into(), None, "q".into()).await.unwrap();
}
