//! Finding sessions by their words.

use std::sync::Arc;

use podium_protocol::{ItemKind, SessionHit};
use podium_store::{Durability, StoreError};

use crate::script::Script;
use crate::{Bed, ask, bed, follow};

/// Ends of words come with the next piece, as models have it.
fn pieces() -> Script {
    let words = ["The li", "ghthouse at Ke", "rmorvan stands", " since Été 1874."].map(str::to_owned);
    Script { words: words.into(), ..Script::of("") }
}

async fn found(bed: &Bed, query: &str) -> Vec<SessionHit> {
    let hits = bed.sessions.search(query, None, None, None).await.unwrap();
    hits.into_iter().map(|(hit, _)| hit).collect()
}

#[tokio::test]
async fn words_that_pieces_share_are_found_with_item_and_surroundings() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(pieces()));
    let id = bed.sessions.start(ask("Tell of Brittany")).await.unwrap().id;
    let (items, _) = follow(&bed.sessions, &id).await;
    let hits = found(&bed, "LIGHTHOUSE kermor").await;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].session.id, id);
    let place = &hits[0].matches[0];
    let first = items.iter().find(|item| item.kind == ItemKind::Text).unwrap();
    assert_eq!((place.kind, place.seq), (ItemKind::Text, first.seq));
    assert!(place.snippet.contains("The lighthouse at Kermorvan stands"), "{place:?}");
    // Words of the question and of the answer; accents do not matter.
    assert_eq!(found(&bed, "brittany ete").await.len(), 1);
    assert!(found(&bed, "lighthouse submarine").await.is_empty(), "all words must be there");
    assert!(found(&bed, "\"(").await.is_empty());
}

#[tokio::test]
async fn a_search_sees_what_was_stored_before_it_and_nothing_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(pieces()));
    let one = bed.sessions.start(ask("first heron")).await.unwrap().id;
    follow(&bed.sessions, &one).await;
    assert_eq!(found(&bed, "heron").await.len(), 1);
    bed.sessions.resume(&one, Some("now of the bittern"), Default::default()).await.unwrap();
    follow(&bed.sessions, &one).await;
    let two = bed.sessions.start(ask("second heron")).await.unwrap().id;
    follow(&bed.sessions, &two).await;
    assert_eq!(found(&bed, "bittern").await.len(), 1);
    let order: Vec<String> = found(&bed, "heron").await.into_iter().map(|hit| hit.session.id).collect();
    assert_eq!(order, [two.clone(), one.clone()], "newest first");
    let only = bed.sessions.search("heron", None, None, Some(one.clone())).await.unwrap();
    assert_eq!(only.len(), 1, "an agent finds its own session only");

    let gone = two.clone();
    let delete = bed.store.write(Durability::Process, move |tx| -> Result<(), StoreError> {
        tx.execute("DELETE FROM sessions WHERE id = ?1", [gone])?;
        tx.execute("DELETE FROM items WHERE session = ?1 AND kind = 'prompt' AND seq > 1", [one])?;
        Ok(())
    });
    delete.await.unwrap();
    assert_eq!(found(&bed, "heron").await.len(), 1);
    assert!(found(&bed, "bittern").await.is_empty(), "what was cut off is not found");
    assert_eq!(found(&bed, "lighthouse").await.len(), 1, "what is left is found again");
}

#[tokio::test]
async fn a_long_answer_is_found_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut script = Script::of(&"seagull ".repeat(12_000));
    script.words.push("albatross".to_owned());
    let bed = bed(dir.path(), "a", Arc::new(script));
    let id = bed.sessions.start(ask("count")).await.unwrap().id;
    // More than a follower's backlog: only the store has all of it.
    while bed.sessions.is_running(&id) {
        follow(&bed.sessions, &id).await;
    }
    let hits = found(&bed, "albatross").await;
    let place = hits[0].matches[0].seq;
    let there = bed.sessions.show(Some(&id), place - 1).await.unwrap().items;
    // Its end may come with the next piece.
    assert!(there[0].text.contains("albatros"), "{place}: {:?}", there[0]);
}
