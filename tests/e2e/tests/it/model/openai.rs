//! Provider `openai` with a real server: llama.cpp's own, over the model that is embedded elsewhere.

use podium_harness::{LlamaServer, MODEL, TestEnvironment};
use serde_json::Value;

use super::transcript::{Transcript, read_texts, read_to_end};

/// The likeliest words each time: two answers to one question are the same.
const ASK: [&str; 8] = [
    "start",
    "openai",
    "--prompt",
    "Write a long story about a lighthouse.",
    "--temperature",
    "0",
    "--max-tokens",
    "60",
];

fn jelmore<'a>(
    environment: &'a TestEnvironment,
    server: &LlamaServer,
    words: &[&str],
) -> podium_harness::Invocation<'a> {
    environment.jelmore(words).var("OPENAI_BASE_URL", format!("{}/v1", server.url()))
}

#[test]
fn a_real_server_answers_is_cut_off_goes_on_and_is_asked_again() {
    let environment = TestEnvironment::with_model();
    let server = LlamaServer::start(&environment.home().models().join(MODEL));
    let providers = jelmore(&environment, &server, &["providers"]).data();
    let found = providers["providers"].as_array().unwrap().iter().find(|one| one["name"] == "openai");
    let model = &found.unwrap()["models"][0];
    assert!(found.unwrap()["usable"] == true && model.as_str().unwrap().contains("SmolLM2"), "{found:?}");

    let mut lines = jelmore(&environment, &server, &ASK).lines();
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    let (undisturbed, end) = read_to_end(&mut lines, Transcript::default());
    assert_eq!(end["status"], "completed", "{end:#}");
    let count = |end: &Value, what: &str| end["usage"][what].as_u64().unwrap();
    assert!(count(&end, "inputTokens") > 20 && count(&end, "outputTokens") > 30, "{end:#}");
    undisturbed.equals_stored(&environment, &id);
    assert!(undisturbed.text_items() > 30 && undisturbed.text().contains("lighthouse"), "it streams");

    // A second turn goes behind the first one.
    let from = undisturbed.last_seq().to_string();
    let more =
        ["sessions", "resume", &id, "--prompt", "Thank you.", "--max-tokens", "20", "--from-seq", &from];
    let mut lines = jelmore(&environment, &server, &more).lines();
    let before = undisturbed.text();
    let (both, end) = read_to_end(&mut lines, undisturbed);
    assert_eq!(end["status"], "completed", "{end:#}");
    both.equals_stored(&environment, &id);

    // The same question, whose daemon is killed in mid-answer.
    let mut lines = jelmore(&environment, &server, &ASK).lines();
    let id = lines.read_type("session")["id"].as_str().unwrap().to_owned();
    let mut shown = Transcript::default();
    read_texts(&mut lines, &mut shown, 15);
    environment.kill_daemon();
    let (shown, end) = read_to_end(&mut lines, shown);
    assert_eq!(end["status"], "completed", "{end:#}");
    shown.equals_stored(&environment, &id);
    let text = shown.text();
    let same = text.bytes().zip(before.bytes()).take_while(|(one, other)| one == other).count();
    assert!(same >= 15 && text.len() > same, "what was said before the cut stays: {text:?}");
}
