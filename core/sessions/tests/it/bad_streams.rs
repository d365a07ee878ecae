//! What servers do wrong, in both interfaces that they speak.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podium_config::{Layer, Live};
use podium_protocol::{SessionEnd, SessionItem, SessionStatus};
use podium_sessions::anthropic::Anthropic;
use podium_sessions::openai::OpenAi;
use podium_sessions::{Attachment, Env, Keys, Provider, Start};
use serde_json::{Value, json};

use crate::wire::{Answer, Asked, Wire};
use crate::{ask, assert_gapless, bed, follow, text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    Messages,
    Completions,
}

const BOTH: [Api; 2] = [Api::Messages, Api::Completions];

impl Api {
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "anthropic",
            Self::Completions => "openai",
        }
    }

    fn provider(self, dir: &Path) -> Arc<dyn Provider> {
        self.provider_with(dir, 1)
    }

    fn provider_with(self, dir: &Path, stall_seconds: u32) -> Arc<dyn Provider> {
        let file = dir.join("config.toml");
        let settings = format!("[sessions]\nstall_seconds = {stall_seconds}\n[openai]\nmodel = \"m\"\n");
        std::fs::write(&file, settings).unwrap();
        let config = Arc::new(Live::load(vec![Layer::User(file)]).unwrap());
        match self {
            Self::Messages => Arc::new(Anthropic::new(Keys::new(dir), config)),
            Self::Completions => Arc::new(OpenAi::new(Keys::new(dir), config)),
        }
    }

    fn env(self, wire: &Wire) -> Env {
        let vars = match self {
            Self::Messages => {
                [("ANTHROPIC_API_KEY", "sk-ant-test-0123456789"), ("ANTHROPIC_BASE_URL", wire.url.as_str())]
            }
            Self::Completions => [("OPENAI_API_KEY", "sk-test-0123456789"), ("OPENAI_BASE_URL", &wire.url)],
        };
        vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<BTreeMap<_, _>>()
    }

    fn event(self, kind: &str, mut data: Value) -> Vec<u8> {
        match self {
            Self::Messages => {
                data["type"] = json!(kind);
                format!("event: {kind}\ndata: {data}\n\n").into_bytes()
            }
            Self::Completions => format!("data: {data}\n\n").into_bytes(),
        }
    }

    fn said(self, text: &str) -> Vec<u8> {
        match self {
            Self::Messages => {
                let delta = json!({ "type": "text_delta", "text": text });
                self.event("content_block_delta", json!({ "index": 0, "delta": delta }))
            }
            Self::Completions => {
                self.event("", json!({ "choices": [{ "index": 0, "delta": { "content": text } }] }))
            }
        }
    }

    fn beginning(self, words: &[&str]) -> Vec<Vec<u8>> {
        let mut pieces = match self {
            Self::Messages => vec![
                self.event("message_start", json!({ "message": { "usage": { "input_tokens": 12 } } })),
                self.event("content_block_start", json!({ "index": 0, "content_block": { "type": "text" } })),
            ],
            Self::Completions => Vec::new(),
        };
        pieces.extend(words.iter().map(|word| self.said(word)));
        pieces
    }

    fn whole(self, words: &[&str]) -> Vec<Vec<u8>> {
        let mut pieces = self.beginning(words);
        match self {
            Self::Messages => pieces.extend([
                self.event("content_block_stop", json!({ "index": 0 })),
                self.event("message_delta", json!({ "delta": { "stop_reason": "end_turn" } })),
                self.event("message_stop", json!({})),
            ]),
            Self::Completions => pieces.extend([
                self.event("", json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] })),
                b"data: [DONE]\n\n".to_vec(),
            ]),
        }
        pieces
    }

    fn error(self, message: &str) -> Value {
        let error = json!({ "type": "overloaded_error", "message": message });
        json!({ "type": "error", "error": error })
    }

    async fn talk(self, mut answers: Vec<Answer>) -> (Vec<SessionItem>, SessionEnd, Vec<Asked>) {
        // One of the two is asked for its models first.
        let lists = self == Self::Completions;
        if lists {
            answers.insert(0, Answer::refusal(200, r#"{"data":[{"id":"m"}]}"#));
        }
        let wire = Wire::answering(answers).await;
        let dir = tempfile::tempdir().unwrap();
        let bed = bed(dir.path(), "a", self.provider(dir.path()));
        let id = bed.sessions.start(Start { env: self.env(&wire), ..ask("count") }).await.unwrap().id;
        let (items, end) = follow(&bed.sessions, &id).await;
        assert_gapless(&items);
        (items, end, wire.asked().split_off(usize::from(lists)))
    }

    /// What was shown of an answer that got complete.
    async fn completes(self, answers: Vec<Answer>) -> (String, Vec<Asked>) {
        let (items, end, asked) = self.talk(answers).await;
        assert_eq!((end.status, end.reason), (SessionStatus::Completed, None), "{self:?}");
        (text(&items), asked)
    }
}

#[tokio::test]
async fn pieces_of_one_byte_make_the_same_answer() {
    for api in BOTH {
        let bytes = api.whole(&["Grüße, ", "世界 ", "🌍"]).concat();
        let (said, _) = api.completes(vec![Answer::stream(bytes.into_iter().map(|byte| vec![byte]))]).await;
        assert_eq!(said, "Grüße, 世界 🌍", "{api:?}");
    }
}

#[tokio::test]
async fn what_is_new_in_an_interface_is_passed_over() {
    for api in BOTH {
        let mut pieces = vec![
            b": a comment\n\n".to_vec(),
            b"retry: 10\nid: 7\nunheard-of: field\n\n".to_vec(),
            api.event("hologram", json!({ "choices": [], "object": "hologram", "depth": 3 })),
        ];
        pieces.extend(api.beginning(&["one "]));
        pieces.push(match api {
            Api::Messages => api.event("content_block_delta", json!({ "delta": { "type": "smell_delta" } })),
            Api::Completions => api.event("", json!({ "choices": [{ "delta": { "smell": "tar" } }] })),
        });
        let rest = api.whole(&["two"]);
        // Another end of lines is allowed as well.
        let rest = String::from_utf8(rest.concat()).unwrap().replace('\n', "\r\n");
        pieces.push(rest.into_bytes());
        let (said, asked) = api.completes(vec![Answer::stream(pieces)]).await;
        assert_eq!((said.as_str(), asked.len()), ("one two", 1), "{api:?}");
    }
}

#[tokio::test]
async fn a_cut_inside_a_character_or_an_event_repeats_and_loses_nothing() {
    for api in BOTH {
        let half = api.said("drei Äpfel");
        let inside = half.iter().position(|byte| *byte == 0xc3).unwrap() + 1;
        for at in [1, 7, inside, half.len() - 1] {
            let cut = [api.beginning(&["one ", "two "]), vec![half[..at].to_vec()]].concat();
            let answers = vec![Answer::stream(cut), Answer::stream(api.whole(&["three ", "four"]))];
            let (said, asked) = api.completes(answers).await;
            assert_eq!((said.as_str(), asked.len()), ("one two three four", 2), "{api:?} {at}");
        }
    }
}

#[tokio::test]
async fn an_error_behind_text_loses_nothing() {
    for api in BOTH {
        let mut pieces = api.beginning(&["one "]);
        pieces.push(api.event("error", api.error("busy")));
        let answers = vec![Answer::stream(pieces), Answer::stream(api.whole(&["two"]))];
        let (said, asked) = api.completes(answers).await;
        assert_eq!((said.as_str(), asked.len()), ("one two", 2), "{api:?}");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says() {
    for api in BOTH {
        let busy = |status, after: Option<&str>| {
            let mut answer = Answer::refusal(status, &api.error("busy").to_string());
            answer.headers.extend(after.map(|after| ("retry-after", after.to_owned())));
            answer
        };
        let answers = vec![
            busy(429, Some("1")),
            busy(529, Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            busy(500, None),
            Answer::stream(api.whole(&["one"])),
        ];
        let (said, asked) = api.completes(answers).await;
        assert_eq!((said.as_str(), asked.len()), ("one", 4), "{api:?}");
        let waited: Vec<Duration> = asked.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(waited[0] >= Duration::from_secs(1), "{api:?}: {waited:?}");
        assert!(waited[1] < Duration::from_secs(1), "what it asked for is over: {api:?}: {waited:?}");
        assert!(waited[2] >= Duration::from_millis(700), "waits grow: {api:?}: {waited:?}");
    }
}

#[tokio::test]
async fn what_no_further_attempt_would_mend_is_told_in_the_servers_words() {
    for api in BOTH {
        for (status, expected) in
            [(400, SessionStatus::Failed), (401, SessionStatus::Parked), (404, SessionStatus::Failed)]
        {
            let refusal = Answer::refusal(status, &api.error("in its own words").to_string());
            let (_, end, asked) = api.talk(vec![refusal]).await;
            assert_eq!((end.status, asked.len()), (expected, 1), "{api:?} {status}");
            let reason = end.reason.unwrap();
            assert!(reason.contains("in its own words"), "{api:?} {status}: {reason}");
            assert_eq!(reason.starts_with("needs_key"), status == 401, "{api:?} {status}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_again() {
    for api in BOTH {
        let silent = Answer { silent: true, ..Answer::stream(Vec::new()) };
        let stalled = Answer { hangs: true, ..Answer::stream(api.beginning(&["one "])) };
        let answers = vec![silent, stalled, Answer::stream(api.whole(&["two"]))];
        let (said, asked) = api.completes(answers).await;
        assert_eq!((said.as_str(), asked.len()), ("one two", 3), "{api:?}");
    }
}

#[tokio::test]
async fn a_session_whose_server_hangs_is_cancelled_at_once() {
    for api in BOTH {
        let silent = Answer { silent: true, ..Answer::stream(Vec::new()) };
        let stalled = Answer { hangs: true, ..Answer::stream(api.beginning(&["one "])) };
        for (answer, said) in [(silent, ""), (stalled, "one ")] {
            let lists = api == Api::Completions;
            let list = lists.then(|| Answer::refusal(200, r#"{"data":[{"id":"m"}]}"#));
            let wire = Wire::answering(list.into_iter().chain([answer]).collect()).await;
            let dir = tempfile::tempdir().unwrap();
            let bed = bed(dir.path(), "a", api.provider_with(dir.path(), 3_600));
            let start = Start { env: api.env(&wire), ..ask("count") };
            let id = bed.sessions.start(start).await.unwrap().id;
            let Attachment::Live(mut updates) = bed.sessions.attach(&id) else { panic!("it runs") };
            while text(&bed.sessions.items(&id, 0).await.unwrap().0) != said {
                updates.recv().await.unwrap();
            }
            while wire.asked().len() < 1 + usize::from(lists) {
                tokio::task::yield_now().await;
            }
            let cancelled = tokio::time::timeout(Duration::from_secs(2), bed.sessions.cancel(&id)).await;
            assert_eq!(cancelled.unwrap().unwrap().1, SessionStatus::Cancelled, "{api:?}");
            assert_eq!(text(&bed.sessions.items(&id, 0).await.unwrap().0), said, "{api:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_left() {
    for api in BOTH {
        let mut words = api.beginning(&["one "]);
        words.push(api.said(&"word ".repeat(50_000)));
        let line = b"data: and so on ".repeat(10_000);
        let mut nothing = api.beginning(&["one "]);
        nothing.push(api.event("ping", json!({ "choices": [], "nothing": "x".repeat(1_000_000) })));
        for (what, pieces) in [("text", words), ("a line", vec![line]), ("events that say nothing", nothing)]
        {
            let endless = Answer { endless: true, ..Answer::stream(pieces) };
            let (items, end, asked) = api.talk(vec![endless]).await;
            assert_eq!((end.status, asked.len()), (SessionStatus::Failed, 1), "{api:?}: {what}");
            let expected = format!("{}: what it sends does not end", api.name());
            assert_eq!(end.reason, Some(expected), "{api:?}: {what}");
            assert!(text(&items).len() <= 16 * 1024 * 1024, "{api:?}: {what}");
        }
    }
}
