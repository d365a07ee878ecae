//! Budgets: told near their end, and held.

use std::path::Path;
use std::sync::Arc;

use podium_config::{Layer, Live};
use podium_protocol::{SessionStatus, UsageRow};
use podium_sessions::anthropic::Anthropic;
use podium_sessions::{Keys, Limits, Next, Start};
use podium_store::{Options, Store};
use serde_json::Value;

use crate::anthropic::{env, whole};
use crate::wire::{Answer, Wire};
use crate::{Bed, ask, assert_gapless, follow, text};

/// Each answer of the server counts 12 tokens in and 9 out.
fn bed_of(dir: &Path, instance: &str, settings: &str) -> Bed {
    std::fs::write(dir.join("config.toml"), settings).unwrap();
    let config = Arc::new(Live::load(vec![Layer::User(dir.join("config.toml"))]).unwrap());
    let provider = Arc::new(Anthropic::new(Keys::new(dir), Arc::clone(&config)));
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    crate::agents::bed_of(dir, instance, store, provider, config)
}

async fn told(bed: &Bed) -> Vec<(String, String)> {
    let events = bed.store.events(0, vec![], 100).await.unwrap().events;
    let budget = events.into_iter().filter(|event| event.kind == "session.budget");
    let word = |data: &Value, key: &str| data[key].as_str().unwrap().to_owned();
    budget.map(|event| (word(&event.data, "budget"), word(&event.data, "level"))).collect()
}

#[tokio::test]
async fn a_used_up_budget_parks_the_turn_before_the_next_question_and_a_raised_one_lets_it_go_on() {
    let wire =
        Wire::answering(["one ", "two ", "three"].map(|word| Answer::stream(whole(&[word]))).into()).await;
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let bed = bed_of(dir.path(), "a", "[budget]\nsession_tokens = 25\n");
        let id = bed.sessions.start(Start { env: env(&wire), ..ask("count") }).await.unwrap().id;
        assert_eq!(follow(&bed.sessions, &id).await.1.status, SessionStatus::Completed);
        for _ in 0..2 {
            bed.sessions.resume(&id, Some("more"), env(&wire)).await.unwrap();
            follow(&bed.sessions, &id).await;
        }
        let warned = ("budget.session_tokens".to_owned(), "warn".to_owned());
        let stopped = ("budget.session_tokens".to_owned(), "stop".to_owned());
        assert_eq!(told(&bed).await, [warned, stopped], "each once");
        let info = bed.sessions.info(&id).await.unwrap();
        assert_eq!(info.status, SessionStatus::Parked);
        let reason = info.reason.unwrap();
        assert!(
            reason.contains("42 tokens of 25 tokens") && reason.contains("budget.session_tokens"),
            "{reason}"
        );
        assert_eq!(wire.asked().len(), 2, "nothing is asked without a budget");
        id
    };
    let bed = bed_of(dir.path(), "b", "[budget]\nsession_tokens = 100\n");
    bed.sessions.resume(&id, None, env(&wire)).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), ("one two three", SessionStatus::Completed));
    let used = bed.sessions.usage(30).await.unwrap().rows;
    let row = UsageRow {
        day: used[0].day.clone(),
        provider: "anthropic".into(),
        worktree: None,
        sessions: 1,
        input_tokens: 36,
        output_tokens: 27,
        cost_usd: used[0].cost_usd,
    };
    assert_eq!(used, [row]);
    let cost = used[0].cost_usd.unwrap();
    assert!((cost - (36.0 * 3.0 + 27.0 * 15.0) / 1e6).abs() < 1e-9, "{cost}");
}

#[tokio::test]
async fn the_budget_of_a_day_is_for_all_sessions() {
    let wire = Wire::answering(vec![Answer::stream(whole(&["one"]))]).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = bed_of(dir.path(), "a", "[budget]\nday_tokens = 21\n");
    for status in [SessionStatus::Completed, SessionStatus::Parked] {
        let id = bed.sessions.start(Start { env: env(&wire), ..ask("count") }).await.unwrap().id;
        let (_, end) = follow(&bed.sessions, &id).await;
        assert_eq!(end.status, status, "{end:?}");
    }
    assert_eq!(wire.asked().len(), 1);
}

#[tokio::test]
async fn a_price_that_is_not_known_is_told_as_unknown_and_counts_as_configured() {
    use SessionStatus::{Completed, Parked};
    for (counts, expected, asked) in [
        ("dearest", [Completed, Parked], 1),
        ("free", [Completed, Completed], 2),
        ("refuse", [Parked, Parked], 0),
    ] {
        let wire = Wire::answering(vec![Answer::stream(whole(&["one "]))]).await;
        let dir = tempfile::tempdir().unwrap();
        let bed = bed_of(dir.path(), "a", &format!("[budget]\nunknown_price = \"{counts}\"\n"));
        let limits = Limits { cost_usd: Some(0.0005), tokens: None };
        let start = Start { env: env(&wire), model: Some("claude-new-9".into()), limits, ..ask("count") };
        let id = bed.sessions.start(start).await.unwrap().id;
        let (_, end) = follow(&bed.sessions, &id).await;
        assert_eq!(end.status, expected[0], "{counts}: {end:?}");
        bed.sessions.resume(&id, Some("more"), env(&wire)).await.unwrap();
        let (_, end) = follow(&bed.sessions, &id).await;
        assert_eq!((end.status, wire.asked().len()), (expected[1], asked), "{counts}: {end:?}");
        let info = bed.sessions.info(&id).await.unwrap();
        let known = asked == 0;
        assert_eq!(info.usage.cost_usd.is_some(), known, "{counts}: what was not asked costs nothing");
        let rows = bed.sessions.usage(30).await.unwrap().rows;
        assert!(rows.iter().all(|row| row.cost_usd.is_none()), "{counts}: {rows:?}");
        let said = match counts {
            "dearest" => "counts as the dearest: budget.unknown_price",
            "refuse" => "the price of this model is not known: add it to `prices`",
            _ => continue,
        };
        assert!(end.reason.as_ref().unwrap().contains(said), "{counts}: {end:?}");
    }
}

#[tokio::test]
async fn a_configured_price_counts_and_a_raised_limit_lets_the_session_go_on() {
    let wire = Wire::answering(vec![Answer::stream(whole(&["one "]))]).await;
    let dir = tempfile::tempdir().unwrap();
    let prices = "[[prices]]\nmodel = \"claude-new-*\"\ninput = 1.0\noutput = 2\n";
    let bed = bed_of(dir.path(), "a", prices);
    let limits = Limits { cost_usd: Some(0.000_02), tokens: None };
    let start = Start { env: env(&wire), model: Some("claude-new-9".into()), limits, ..ask("count") };
    let id = bed.sessions.start(start).await.unwrap().id;
    let (_, end) = follow(&bed.sessions, &id).await;
    let cost = end.usage.cost_usd.unwrap();
    assert!((cost - (12.0 + 18.0) / 1e6).abs() < 1e-12, "{cost}");
    bed.sessions.resume(&id, Some("more"), env(&wire)).await.unwrap();
    let (_, end) = follow(&bed.sessions, &id).await;
    assert_eq!(end.status, SessionStatus::Parked);
    let reason = end.reason.unwrap();
    assert!(reason.contains(&format!("`jelmore sessions resume {id} --max-cost N`")), "{reason}");
    let next = Next { limits: Limits { cost_usd: Some(1.0), tokens: None }, ..Next::default() };
    bed.sessions.go_on(&id, next, env(&wire)).await.unwrap();
    let (_, end) = follow(&bed.sessions, &id).await;
    assert_eq!((end.status, wire.asked().len()), (SessionStatus::Completed, 2));
}
