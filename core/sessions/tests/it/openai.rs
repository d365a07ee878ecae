//! Servers with OpenAI's interface, over a real connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_config::Live;
use podium_protocol::{ItemKind, SessionEnd, SessionItem, SessionStatus};
use podium_sessions::openai::OpenAi;
use podium_sessions::{Env, Keys, Provider as _, Start};
use serde_json::{Value, json};

use crate::wire::{Answer, Asked, Wire};
use crate::{ask, assert_gapless, bed, follow, text};

fn data(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

fn delta(delta: Value) -> Vec<u8> {
    data(&json!({ "id": "c", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] }))
}

fn said(text: &str) -> Vec<u8> {
    delta(json!({ "content": text }))
}

fn ended(reason: &str) -> Vec<Vec<u8>> {
    let finish = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] });
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 3 } });
    vec![data(&finish), data(&usage), b"data: [DONE]\n\n".to_vec()]
}

pub(crate) fn whole(words: &[&str]) -> Vec<Vec<u8>> {
    [
        vec![delta(json!({ "role": "assistant", "content": "" }))],
        words.iter().map(|w| said(w)).collect(),
        ended("stop"),
    ]
    .concat()
}

pub(crate) fn env(wire: &Wire) -> Env {
    BTreeMap::from([("OPENAI_BASE_URL".to_owned(), format!("{}/v1", wire.url))])
}

/// Asks and follows to the end.
async fn talk(answers: Vec<Answer>, more: &[(&str, &str)]) -> (Vec<SessionItem>, SessionEnd, Vec<Asked>) {
    let wire = Wire::answering(answers).await;
    let dir = tempfile::tempdir().unwrap();
    let bed = bed(dir.path(), "a", Arc::new(OpenAi::new(Keys::new(dir.path()), Arc::new(Live::defaults()))));
    let mut env = env(&wire);
    env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let start = Start { env, model: Some("m".into()), ..ask("count") };
    let id = bed.sessions.start(start).await.unwrap().id;
    let (items, end) = follow(&bed.sessions, &id).await;
    assert_gapless(&items);
    let mut asked = wire.asked();
    asked.retain(|asked| asked.path.ends_with("/chat/completions"));
    (items, end, asked)
}

/// The first question is for the list of models.
fn listed(mut answers: Vec<Answer>) -> Vec<Answer> {
    let list = Answer { status: 200, ..Answer::refusal(200, r#"{"data":[{"id":"m"},{"id":"n"}]}"#) };
    answers.insert(0, list);
    answers
}

#[tokio::test]
async fn the_request_has_the_interfaces_form_and_a_server_of_ones_own_needs_no_key() {
    let (items, end, asked) = talk(listed(vec![Answer::stream(whole(&["one ", "two"]))]), &[]).await;
    assert_eq!((text(&items).as_str(), end.status), ("one two", SessionStatus::Completed));
    assert_eq!((end.usage.input_tokens, end.usage.output_tokens), (7, 3));
    let expected = json!({
        "model": "m",
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_tokens": 16000,
        "messages": [
            { "role": "system", "content": "You are a concise, helpful programming assistant inside an editor." },
            { "role": "user", "content": "count" },
        ],
    });
    assert_eq!((asked.len(), asked[0].path.as_str(), &asked[0].body), (1, "/v1/chat/completions", &expected));
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test]
async fn a_key_goes_along_and_a_cut_answer_goes_on_behind_what_was_said() {
    let cut = Answer::stream(vec![said("one "), said("two ")]);
    let (items, end, asked) =
        talk(listed(vec![cut, Answer::stream(whole(&["three"]))]), &[("OPENAI_API_KEY", "sk-test-key")])
            .await;
    assert_eq!((text(&items).as_str(), end.status), ("one two three", SessionStatus::Completed));
    assert_eq!(asked[1].header("authorization"), Some("Bearer sk-test-key"));
    let messages = asked[1].body["messages"].as_array().unwrap();
    assert_eq!(messages[2], json!({ "role": "assistant", "content": "one two " }));
    assert_eq!((messages.len(), &messages[3]["role"]), (4, &json!("user")));
}

#[tokio::test]
async fn calls_come_in_pieces_and_their_results_go_back_by_id() {
    let piece = |call: Value| delta(json!({ "tool_calls": [call] }));
    let first = [
        vec![
            delta(json!({ "reasoning_content": "hm" })),
            piece(
                json!({ "index": 0, "id": "call_1", "function": { "name": "read_file", "arguments": "" } }),
            ),
            piece(json!({ "index": 0, "function": { "arguments": "{\"path\":" } })),
            piece(json!({ "index": 0, "function": { "arguments": "\"a\"}" } })),
            piece(
                json!({ "index": 1, "id": "call_2", "function": { "name": "list_files", "arguments": "{" } }),
            ),
        ],
        ended("tool_calls"),
    ]
    .concat();
    let (items, end, asked) =
        talk(listed(vec![Answer::stream(first), Answer::stream(whole(&["done"]))]), &[]).await;
    assert_eq!((text(&items).as_str(), end.status), ("done", SessionStatus::Completed));
    let calls: Vec<&Value> =
        items.iter().filter(|i| i.kind == ItemKind::ToolCall).map(|i| i.data.as_ref().unwrap()).collect();
    assert_eq!(calls[0]["input"], json!({ "path": "a" }));
    assert_eq!(calls[1]["input"], json!("{"), "what is no JSON is kept as it was written");
    let messages = asked[1].body["messages"].as_array().unwrap();
    assert_eq!(messages[2]["tool_calls"][0]["function"]["arguments"], r#"{"path":"a"}"#);
    let answered: Vec<&Value> = messages[3..].iter().map(|m| &m["tool_call_id"]).collect();
    assert_eq!(answered, ["call_1", "call_2"]);
}

#[tokio::test]
async fn a_server_says_its_models_and_one_that_is_away_is_not_usable() {
    let wire = Wire::answering(listed(vec![])).await;
    let dir = tempfile::tempdir().unwrap();
    let provider = OpenAi::new(Keys::new(dir.path()), Arc::new(Live::defaults()));
    let info = provider.info(&env(&wire)).await;
    assert_eq!((info.usable, info.models), (true, vec!["m".to_owned(), "n".to_owned()]));
    let nowhere = BTreeMap::from([("OPENAI_BASE_URL".to_owned(), "http://127.0.0.1:1/v1".to_owned())]);
    assert!(!provider.info(&nowhere).await.usable);
    let nothing = provider.info(&Env::new()).await;
    assert!(!nothing.usable && nothing.why.contains("OPENAI_API_KEY"), "{}", nothing.why);
}
