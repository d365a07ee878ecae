use podium_artifacts::{ArtifactError, Artifacts};
use podium_protocol::{ArtifactListParams, ArtifactSearchParams};

use crate::{open, text};

async fn titles(artifacts: &Artifacts, query: &str) -> Vec<String> {
    let params = ArtifactSearchParams { query: query.into(), ..Default::default() };
    artifacts.search(params).await.unwrap().into_iter().map(|hit| hit.title).collect()
}

#[tokio::test]
async fn what_was_stored_is_found_at_once_by_text_title_and_beginning_of_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, artifacts) = open(dir.path());
    artifacts.put(text("Lighthouse", "The keeper climbs the stairs.")).await.unwrap();
    artifacts.put(text("Sea", "Waves and wind, no tower.")).await.unwrap();
    assert_eq!(titles(&artifacts, "keeper").await, ["Lighthouse"]);
    assert_eq!(titles(&artifacts, "SEA").await, ["Sea"]);
    assert_eq!(titles(&artifacts, "lightho").await, ["Lighthouse"]);
    assert_eq!(titles(&artifacts, "keeper stairs").await, ["Lighthouse"]);
    assert!(titles(&artifacts, "keeper wind").await.is_empty());
    assert_eq!(titles(&artifacts, "").await, ["Sea", "Lighthouse"]);
}

#[tokio::test]
async fn a_hit_shows_the_place_and_filters_narrow() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, artifacts) = open(dir.path());
    let long = format!("{} needle in the middle {}", "hay ".repeat(200), "straw ".repeat(200));
    artifacts.put(text("Stack", &long)).await.unwrap();
    let search = |session: &str| {
        let params = ArtifactSearchParams {
            query: "needle".into(),
            session: Some(session.into()),
            ..Default::default()
        };
        artifacts.search(params)
    };
    let hits = search("s1").await.unwrap();
    assert!(hits[0].snippet.contains("needle") && hits[0].snippet.chars().count() <= 200);
    assert!(search("s2").await.unwrap().is_empty());
}

#[tokio::test]
async fn odd_queries_are_no_errors() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, artifacts) = open(dir.path());
    artifacts.put(text("A", "plain words")).await.unwrap();
    for query in ["\"", "(", "a AND", "title:", "+-*?", "nope:x", "\u{0}", &"x".repeat(10_000), "[1 TO"] {
        let _ = titles(&artifacts, query).await;
    }
    assert_eq!(titles(&artifacts, "plain").await, ["A"]);
}

#[tokio::test]
async fn a_lost_or_damaged_index_is_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (_store, artifacts) = open(dir.path());
        artifacts.put(text("A", "alpha")).await.unwrap();
        assert_eq!(titles(&artifacts, "alpha").await, ["A"]);
        artifacts.close();
    }
    std::fs::write(dir.path().join("artifacts/index/meta.json"), "{").unwrap();
    let (_store, artifacts) = open(dir.path());
    assert_eq!(titles(&artifacts, "alpha").await, ["A"]);
    artifacts.close();
    drop((_store, artifacts));
    std::fs::remove_dir_all(dir.path().join("artifacts/index")).unwrap();
    let (_store, artifacts) = open(dir.path());
    assert_eq!(titles(&artifacts, "alpha").await, ["A"]);
}

#[tokio::test]
async fn an_artifact_is_had_by_id_beginning_and_hash_and_its_file_is_read_only() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, artifacts) = open(dir.path());
    let stored = artifacts.put(text("Notes: day 1/2", "content")).await.unwrap().artifact;
    for id in [&stored.id, &stored.id[..20], &stored.hash] {
        assert_eq!(artifacts.get(id).await.unwrap().text.as_deref(), Some("content"));
    }
    let content = artifacts.get(&stored.id).await.unwrap();
    assert_eq!(std::fs::read_to_string(&content.path).unwrap(), "content");
    assert!(std::fs::metadata(&content.path).unwrap().permissions().readonly());
    assert!(content.path.extension().is_some_and(|e| e == "md"));
    assert!(matches!(artifacts.get("nope").await, Err(ArtifactError::NotFound(_))));
    assert_eq!(artifacts.list(ArtifactListParams::default()).await.unwrap(), vec![stored]);
}
