//! Conversations that are longer than their model takes.

use std::path::Path;
use std::sync::Arc;

use podium_config::{Layer, Live};
use podium_protocol::{ItemKind, SessionStatus};
use podium_sessions::anthropic::Anthropic;
use podium_sessions::openai::OpenAi;
use podium_sessions::{Attachment, Keys, Start, StopCause};
use serde_json::{Value, json};

use crate::anthropic::{beginning, env, whole};
use crate::openai;
use crate::wire::{Answer, Wire};
use crate::{Bed, ask, assert_gapless, bed, follow, text};

const SUMMED_UP: &str = "[The conversation before, in short:]\nA was asked.";

fn bed_of(dir: &Path, instance: &str, settings: &str) -> Bed {
    std::fs::write(dir.join("config.toml"), settings).unwrap();
    let config = Arc::new(Live::load(vec![Layer::User(dir.join("config.toml"))]).unwrap());
    bed(dir, instance, Arc::new(Anthropic::new(Keys::new(dir), config)))
}

fn said(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn newest(text: &str) -> Value {
    json!({ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } })
}

fn long(name: &str) -> String {
    format!("{name} {}", "x".repeat(4_000))
}

#[tokio::test]
async fn older_turns_are_summed_up_before_the_window_is_full_and_a_next_daemon_tells_the_same() {
    let held = Answer { hangs: true, ..Answer::stream(beginning(&["two "])) };
    let wire = Wire::answering(vec![
        Answer::stream(whole(&["one"])),
        Answer::stream(whole(&["A was asked."])),
        held,
        Answer::stream(whole(&["three"])),
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let settings = "[anthropic]\ncontext_tokens = 3000\nmax_tokens = 500\n";
    let id = {
        let bed = bed_of(dir.path(), "a", settings);
        let start = Start { env: env(&wire), ..ask(&long("A")) };
        let id = bed.sessions.start(start).await.unwrap().id;
        follow(&bed.sessions, &id).await;
        bed.sessions.resume(&id, Some(&long("B")), env(&wire)).await.unwrap();
        let Attachment::Live(mut updates) = bed.sessions.attach(&id) else { panic!("it runs") };
        while text(&bed.sessions.items(&id, 0).await.unwrap().0) != "onetwo " {
            updates.recv().await.unwrap();
        }
        bed.sessions.interrupt_all(StopCause::DaemonStopped).await;
        id
    };
    let bed = bed_of(dir.path(), "b", settings);
    bed.sessions.resume(&id, None, env(&wire)).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!(end.status, SessionStatus::Completed, "{end:?}");
    let asked = wire.asked();
    assert_eq!(asked.len(), 4, "it is summed up once");
    let question = asked[1].body["messages"][0]["content"][0]["text"].as_str().unwrap();
    assert!(question.contains("User: A xxx") && question.contains("Assistant: one"), "{question}");
    let compacted = json!([{ "role": "user", "content": [said(SUMMED_UP), newest(&long("B"))] }]);
    assert_eq!(asked[2].body["messages"], compacted);
    let going_on = json!([
        { "role": "user", "content": [said(SUMMED_UP), newest(&long("B"))] },
        { "role": "assistant", "content": [said("two")] },
    ]);
    assert_eq!(asked[3].body["messages"], going_on);
    // Nobody but the model is told less.
    let prompts: Vec<&str> =
        items.iter().filter(|i| i.kind == ItemKind::Prompt).map(|i| i.text.as_str()).collect();
    assert_eq!(prompts, [long("A"), long("B")]);
}

/// As OpenAI says it: as an answer of its own, and as an event of a stream that had begun.
#[tokio::test]
async fn a_conversation_that_is_too_long_for_openai_is_shortened_and_goes_on() {
    let error = json!({ "error": {
        "message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens.",
        "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded",
    } });
    let event = Answer::stream([format!("data: {error}\n\n").into_bytes()]);
    for refusal in [Answer::refusal(400, &error.to_string()), event] {
        let wire = Wire::answering(vec![
            Answer::refusal(200, r#"{"data":[{"id":"m"}]}"#),
            Answer::stream(openai::whole(&["one"])),
            refusal,
            Answer::stream(openai::whole(&["A was asked."])),
            Answer::stream(openai::whole(&["two"])),
        ])
        .await;
        let dir = tempfile::tempdir().unwrap();
        let provider = OpenAi::new(Keys::new(dir.path()), Arc::new(Live::defaults()));
        let bed = bed(dir.path(), "a", Arc::new(provider));
        let start = Start { env: openai::env(&wire), model: Some("m".into()), ..ask(&long("A")) };
        let id = bed.sessions.start(start).await.unwrap().id;
        follow(&bed.sessions, &id).await;
        bed.sessions.resume(&id, Some("B"), openai::env(&wire)).await.unwrap();
        let (items, end) = follow(&bed.sessions, &id).await;
        assert_gapless(&items);
        assert_eq!((text(&items).as_str(), end.status), ("onetwo", SessionStatus::Completed), "{end:?}");
        let asked = wire.asked();
        assert_eq!(asked.len(), 5, "it is summed up once");
        let last = asked[4].body["messages"].as_array().unwrap();
        let shortened = json!({ "role": "user", "content": format!("{SUMMED_UP}\n\nB") });
        assert_eq!((last.len(), last[0]["role"].as_str()), (2, Some("system")), "{last:#?}");
        assert_eq!(last[1], shortened);
    }
}

#[tokio::test]
async fn a_conversation_that_the_server_refuses_as_too_long_is_shortened_once() {
    let body = json!({ "type": "error", "error": {
        "type": "invalid_request_error", "message": "prompt is too long: 208310 tokens > 200000 maximum",
    } });
    let refusal = Answer::refusal(400, &body.to_string());
    let wire = Wire::answering(vec![
        Answer::stream(whole(&["one"])),
        refusal.clone(),
        Answer::stream(whole(&["A was asked."])),
        Answer::stream(whole(&["two"])),
        refusal,
    ])
    .await;
    let dir = tempfile::tempdir().unwrap();
    let bed = bed_of(dir.path(), "a", "");
    let id = bed.sessions.start(Start { env: env(&wire), ..ask(&long("A")) }).await.unwrap().id;
    follow(&bed.sessions, &id).await;
    bed.sessions.resume(&id, Some("B"), env(&wire)).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_eq!((text(&items).as_str(), end.status), ("onetwo", SessionStatus::Completed), "{end:?}");
    let compacted = json!([{ "role": "user", "content": [said(SUMMED_UP), newest("B")] }]);
    assert_eq!(wire.asked()[3].body["messages"], compacted);
    // Refused whatever is left out: it ends, and says why.
    bed.sessions.resume(&id, Some("C"), env(&wire)).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!(end.status, SessionStatus::Failed);
    assert!(end.reason.unwrap().contains("prompt is too long"));
}
