//! What a client was shown of a session, and what is wrong with it.

use podium_harness::{JsonLines, TestEnvironment, TestRepo};
use serde_json::Value;

/// The items of a session as somebody saw them.
#[derive(Debug, Default, Clone)]
pub(super) struct Transcript {
    items: Vec<Value>,
}

impl Transcript {
    pub(super) fn push(&mut self, line: &Value) {
        if line["type"] == "item" {
            self.items.push(line.clone());
        }
    }

    pub(super) fn of(items: &Value) -> Self {
        Self { items: items.as_array().unwrap().clone() }
    }

    /// The answer: its pieces in order.
    pub(super) fn text(&self) -> String {
        self.texts().filter_map(|item| item["text"].as_str()).collect()
    }

    pub(super) fn text_items(&self) -> usize {
        self.texts().count()
    }

    pub(super) fn is_final(&self) -> bool {
        self.texts().any(|item| item["final"] == true)
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.items.last().and_then(|item| item["seq"].as_u64()).unwrap_or(0)
    }

    fn texts(&self) -> impl Iterator<Item = &Value> {
        self.items.iter().filter(|item| item["kind"] == "text")
    }

    /// Numbers that are missing, and numbers that came twice or out of order.
    pub(super) fn gaps_and_repeats(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut gaps, mut repeats, mut last) = (Vec::new(), Vec::new(), 0);
        for seq in self.items.iter().filter_map(|item| item["seq"].as_u64()) {
            if seq <= last {
                repeats.push(seq);
            } else {
                gaps.extend(last + 1..seq);
                last = seq;
            }
        }
        (gaps, repeats)
    }

    /// No gap, no repeat, and nothing but what is stored.
    pub(super) fn equals_stored(&self, environment: &TestEnvironment, id: &str) {
        assert_eq!(self.gaps_and_repeats(), (vec![], vec![]), "session {id}: gaps and repeats");
        let stored = Self::of(&environment.jelmore(["sessions", "show", id]).data()["items"]);
        assert_eq!(self.text(), stored.text(), "session {id}: what was shown is what is stored");
        let seqs = |t: &Self| t.items.iter().map(|item| item["seq"].clone()).collect::<Vec<_>>();
        assert_eq!(seqs(self), seqs(&stored), "session {id}");
    }
}

/// A session to be started: the same arguments give the same text.
pub(super) struct Asked {
    pub(super) prompt: &'static str,
    pub(super) seed: u64,
    pub(super) max_tokens: u32,
}

impl Asked {
    /// Starts it; gives its id and the stream of its lines.
    pub(super) fn start(&self, environment: &TestEnvironment, repo: &TestRepo<'_>) -> (String, JsonLines) {
        let (seed, max_tokens) = (self.seed.to_string(), self.max_tokens.to_string());
        let words = ["start", "local", "--prompt", self.prompt, "--seed", &seed, "--max-tokens", &max_tokens];
        let mut lines = environment.jelmore(words).within(repo).lines();
        let first = lines.read().unwrap();
        assert_eq!(first["type"], "session", "a session is announced first: {first}");
        (first["id"].as_str().unwrap().to_owned(), lines)
    }

    /// The text when nothing disturbs it.
    pub(super) fn undisturbed(&self, environment: &TestEnvironment, repo: &TestRepo<'_>) -> String {
        let (_, mut lines) = self.start(environment, repo);
        let (transcript, end) = read_to_end(&mut lines, Transcript::default());
        assert_eq!(end["status"], "completed", "{end:#}");
        transcript.text()
    }
}

/// Reads on until the stream ends; gives all items and the last line.
pub(super) fn read_to_end(lines: &mut JsonLines, mut shown: Transcript) -> (Transcript, Value) {
    while let Some(line) = lines.read() {
        shown.push(&line);
        if line["type"] == "end" {
            assert!(lines.read().is_none(), "nothing follows the end");
            return (shown, line);
        }
    }
    panic!("the stream ended without an end: {:#?}", lines.seen().last());
}

/// Reads until `count` pieces of text were shown, or the last one.
pub(super) fn read_texts(lines: &mut JsonLines, shown: &mut Transcript, count: usize) {
    let enough = shown.text_items() + count;
    while shown.text_items() < enough && !shown.is_final() {
        let line =
            lines.read().unwrap_or_else(|| panic!("the stream ended early: {:#?}", lines.seen().last()));
        assert_ne!(line["type"], "end", "{line:#}");
        shown.push(&line);
    }
}
