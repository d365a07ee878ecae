//! The Messages API over a real connection.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podium_config::Live;
use podium_protocol::{ItemKind, SessionEnd, SessionItem, SessionStatus};
use podium_sessions::anthropic::Anthropic;
use podium_sessions::{Attachment, Env, Keys, Start};
use serde_json::{Value, json};

use crate::wire::{Answer, Asked, Wire};
use crate::{Bed, ask, assert_gapless, bed, follow, text};

const KEY: &str = "sk-ant-test-0123456789";

pub(crate) fn event(kind: &str, mut data: Value) -> Vec<u8> {
    data["type"] = json!(kind);
    format!("event: {kind}\ndata: {data}\n\n").into_bytes()
}

fn started() -> Vec<u8> {
    let usage = json!({ "input_tokens": 12, "output_tokens": 1 });
    let message = json!({ "id": "msg_1", "role": "assistant", "content": [], "usage": usage });
    event("message_start", json!({ "message": message }))
}

fn opened(block: Value) -> Vec<u8> {
    event("content_block_start", json!({ "index": 0, "content_block": block }))
}

fn said(text: &str) -> Vec<u8> {
    event("content_block_delta", json!({ "index": 0, "delta": { "type": "text_delta", "text": text } }))
}

fn ended(reason: &str) -> Vec<Vec<u8>> {
    let delta = json!({ "delta": { "stop_reason": reason }, "usage": { "output_tokens": 9 } });
    vec![
        event("content_block_stop", json!({ "index": 0 })),
        event("message_delta", delta),
        event("message_stop", json!({})),
    ]
}

pub(crate) fn beginning(words: &[&str]) -> Vec<Vec<u8>> {
    let mut pieces = vec![started(), opened(json!({ "type": "text", "text": "" })), event("ping", json!({}))];
    pieces.extend(words.iter().map(|word| said(word)));
    pieces
}

pub(crate) fn whole(words: &[&str]) -> Vec<Vec<u8>> {
    [beginning(words), ended("end_turn")].concat()
}

pub(crate) fn env(wire: &Wire) -> Env {
    BTreeMap::from([
        ("ANTHROPIC_API_KEY".to_owned(), KEY.to_owned()),
        ("ANTHROPIC_BASE_URL".to_owned(), wire.url.clone()),
    ])
}

fn bed_of(dir: &Path, instance: &str) -> Bed {
    let config = Arc::new(Live::defaults());
    bed(dir, instance, Arc::new(Anthropic::new(Keys::new(dir), config)))
}

/// Asks and follows to the end.
async fn talk(answers: Vec<Answer>) -> (Vec<SessionItem>, SessionEnd, Vec<Asked>) {
    let wire = Wire::answering(answers).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = bed_of(dir.path(), "a");
    let start = Start { env: env(&wire), ..ask("count") };
    let id = bed.sessions.start(start).await.unwrap().id;
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    (items, end, wire.asked())
}

#[tokio::test]
async fn the_request_has_the_apis_form() {
    let (items, end, asked) = talk(vec![Answer::stream(whole(&["one ", "two"]))]).await;
    assert_eq!((text(&items).as_str(), end.status), ("one two", SessionStatus::Completed));
    assert_eq!((end.usage.input_tokens, end.usage.output_tokens), (12, 9));
    let expected = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 16000,
        "stream": true,
        "system": [{
            "type": "text",
            "text": "You are a concise, helpful programming assistant inside an editor.",
            "cache_control": { "type": "ephemeral" },
        }],
        "messages": [{
            "role": "user",
            "content": [{ "type": "text", "text": "count", "cache_control": { "type": "ephemeral" } }],
        }],
    });
    assert_eq!((asked.len(), asked[0].path.as_str(), &asked[0].body), (1, "/v1/messages", &expected));
    let header = |name| asked[0].header(name);
    assert_eq!((header("x-api-key"), header("anthropic-version")), (Some(KEY), Some("2023-06-01")));
}

#[tokio::test]
async fn an_answer_split_at_every_byte_is_the_same() {
    let bytes: Vec<Vec<u8>> = whole(&["Grüße, ", "世界 ", "🌍"]).concat().iter().map(|b| vec![*b]).collect();
    let (items, end, _) = talk(vec![Answer::stream(bytes)]).await;
    assert_eq!((text(&items).as_str(), end.status), ("Grüße, 世界 🌍", SessionStatus::Completed));
}

#[tokio::test]
async fn a_stream_cut_in_the_middle_of_a_character_goes_on_behind_what_was_said() {
    let mut pieces = beginning(&["one ", "two "]);
    let half = said("drei Äpfel");
    let at = half.iter().position(|b| *b == 0xc3).unwrap() + 1;
    pieces.push(half[..at].to_vec());
    let (items, end, asked) =
        talk(vec![Answer::stream(pieces), Answer::stream(whole(&["three ", "four"]))]).await;
    assert_eq!((text(&items).as_str(), end.status), ("one two three four", SessionStatus::Completed));
    assert_eq!(asked.len(), 2);
    let last = asked[1].body["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(*last, json!({ "role": "assistant", "content": [{ "type": "text", "text": "one two" }] }));
    assert_eq!(end.usage.input_tokens, 24, "both requests are paid for");
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_when_it_says_and_an_error_behind_text_loses_nothing() {
    let mut busy =
        Answer::refusal(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#);
    busy.headers.push(("retry-after", "0".to_owned()));
    let mut pieces = beginning(&["one "]);
    let error = json!({ "error": { "type": "overloaded_error", "message": "busy again" } });
    pieces.push(event("error", error));
    let (items, end, asked) = talk(vec![busy, Answer::stream(pieces), Answer::stream(whole(&["two"]))]).await;
    assert_eq!((text(&items).as_str(), end.status, asked.len()), ("one two", SessionStatus::Completed, 3));
}

#[tokio::test]
async fn a_model_that_takes_no_prefix_is_asked_to_go_on() {
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"This model does not support assistant message prefill. The conversation must end with a user message."}}"#;
    let (items, end, asked) = talk(vec![
        Answer::stream(beginning(&["one "])),
        Answer::refusal(400, refusal),
        Answer::stream(whole(&["two"])),
    ])
    .await;
    assert_eq!((text(&items).as_str(), end.status), ("one two", SessionStatus::Completed));
    let roles: Vec<&str> =
        asked[2].body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
}

#[tokio::test]
async fn what_a_person_must_mend_parks_or_fails_with_the_servers_words() {
    for (status, kind, words) in [
        (401, SessionStatus::Parked, "needs_key: the key was refused: invalid x-api-key"),
        (400, SessionStatus::Failed, "anthropic: max_tokens: too large (HTTP 400)"),
        (404, SessionStatus::Failed, "anthropic: model: nosuch (HTTP 404)"),
    ] {
        let message = match status {
            401 => "invalid x-api-key",
            400 => "max_tokens: too large",
            _ => "model: nosuch",
        };
        let body = json!({ "type": "error", "error": { "type": "x", "message": message } }).to_string();
        let (_, end, asked) = talk(vec![Answer::refusal(status, &body)]).await;
        assert_eq!((end.status, end.reason.as_deref(), asked.len()), (kind, Some(words), 1), "{status}");
    }
}

#[tokio::test]
async fn a_session_without_its_key_is_parked_and_goes_on_with_it() {
    let wire =
        Wire::answering(vec![Answer::stream(beginning(&["one "])), Answer::stream(whole(&["two"]))]).await;
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let mut hanging = beginning(&["one "]);
        hanging.push(Vec::new());
        let held = Answer { hangs: true, ..Answer::stream(hanging) };
        let held = Wire::answering(vec![held]).await;
        let bed = bed_of(dir.path(), "a");
        let id = bed.sessions.start(Start { env: env(&held), ..ask("count") }).await.unwrap().id;
        let Attachment::Live(mut updates) = bed.sessions.attach(&id) else { panic!("it runs") };
        while text(&bed.sessions.items(&id, 0).await.unwrap().0) != "one " {
            updates.recv().await.unwrap();
        }
        bed.sessions.interrupt_all(podium_sessions::StopCause::DaemonStopped).await;
        id
    };
    let bed = bed_of(dir.path(), "b");
    let without = BTreeMap::from([("ANTHROPIC_BASE_URL".to_owned(), wire.url.clone())]);
    bed.sessions.resume(&id, None, without).await.unwrap();
    let (_, end) = follow(&bed.sessions, &id).await;
    assert_eq!(
        (end.status, end.reason.as_deref()),
        (SessionStatus::Parked, Some("needs_key: ANTHROPIC_API_KEY is not set"))
    );
    bed.sessions.resume(&id, None, env(&wire)).await.unwrap();
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    assert_eq!((text(&items).as_str(), end.status), ("one one two", SessionStatus::Completed));
}

#[tokio::test]
async fn a_cancelled_session_ends_at_once_though_the_server_is_silent() {
    let held = Answer { hangs: true, ..Answer::stream(beginning(&["one "])) };
    let wire = Wire::answering(vec![held]).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = bed_of(dir.path(), "a");
    let id = bed.sessions.start(Start { env: env(&wire), ..ask("count") }).await.unwrap().id;
    let Attachment::Live(mut updates) = bed.sessions.attach(&id) else { panic!("it runs") };
    while text(&bed.sessions.items(&id, 0).await.unwrap().0) != "one " {
        updates.recv().await.unwrap();
    }
    let cancelled = tokio::time::timeout(Duration::from_secs(2), bed.sessions.cancel(&id)).await;
    assert_eq!(cancelled.unwrap().unwrap().1, SessionStatus::Cancelled);
}

#[tokio::test]
async fn a_sealed_thought_goes_back_as_it_came() {
    let first = [
        vec![
            started(),
            opened(json!({ "type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix" })),
            event("content_block_stop", json!({ "index": 0 })),
            opened(json!({ "type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {} })),
        ],
        ended("tool_use"),
    ]
    .concat();
    let (_, end, asked) = talk(vec![Answer::stream(first), Answer::stream(whole(&["done"]))]).await;
    assert_eq!(end.status, SessionStatus::Completed);
    assert_eq!(
        asked[1].body["messages"][1]["content"],
        json!([
            { "type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix" },
            { "type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {} },
        ])
    );
}

#[tokio::test]
async fn thoughts_are_shown_and_given_back_signed_with_the_results_of_calls() {
    let thought = |text: &str| json!({ "delta": { "type": "thinking_delta", "thinking": text } });
    let signature = json!({ "delta": { "type": "signature_delta", "signature": "sig" } });
    let first = [
        vec![
            started(),
            opened(json!({ "type": "thinking", "thinking": "" })),
            event("content_block_delta", thought("let me ")),
            event("content_block_delta", thought("look")),
            event("content_block_delta", signature),
            event("content_block_stop", json!({ "index": 0 })),
            opened(json!({ "type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {} })),
            event(
                "content_block_delta",
                json!({ "delta": { "type": "input_json_delta", "partial_json": "{\"path\":\"a\"}" } }),
            ),
        ],
        ended("tool_use"),
    ]
    .concat();
    let (items, end, asked) = talk(vec![Answer::stream(first), Answer::stream(whole(&["done"]))]).await;
    assert_eq!((text(&items).as_str(), end.status), ("done", SessionStatus::Completed));
    let kinds: Vec<ItemKind> =
        items.iter().map(|item| item.kind).filter(|k| *k != ItemKind::Checkpoint).collect();
    let expected = [
        ItemKind::Prompt,
        ItemKind::Thinking,
        ItemKind::Thinking,
        ItemKind::Thinking,
        ItemKind::ToolCall,
        ItemKind::ToolResult,
        ItemKind::Text,
        ItemKind::Text,
        ItemKind::Usage,
    ];
    assert_eq!(kinds, expected);
    let messages = asked[1].body["messages"].as_array().unwrap();
    assert_eq!(
        messages[1]["content"],
        json!([
            { "type": "thinking", "thinking": "let me look", "signature": "sig" },
            { "type": "tool_use", "id": "toolu_1", "name": "read_file", "input": { "path": "a" } },
        ])
    );
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "toolu_1");
}
