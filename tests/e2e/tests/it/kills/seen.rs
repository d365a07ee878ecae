//! What somebody was shown of a session, and what is wrong with it.

use podium_harness::TestEnvironment;
use serde_json::Value;

/// Items in the order they were shown.
#[derive(Debug, Default)]
pub(super) struct Seen {
    items: Vec<Value>,
}

impl Seen {
    /// A line of the client; others than items are passed over.
    pub(super) fn push(&mut self, line: &Value) {
        if line["type"] == "item" {
            self.items.push(line.clone());
        }
    }

    /// Items of a notification.
    pub(super) fn extend(&mut self, items: &Value) {
        self.items.extend(items.as_array().into_iter().flatten().cloned());
    }

    pub(super) fn text(&self) -> String {
        self.of_kind().filter_map(|item| item["text"].as_str()).collect()
    }

    pub(super) fn texts(&self) -> usize {
        self.of_kind().count()
    }

    /// The last piece was shown.
    pub(super) fn is_whole(&self) -> bool {
        self.of_kind().any(|item| item["final"] == true)
    }

    pub(super) fn last(&self) -> u64 {
        self.items.last().and_then(|item| item["seq"].as_u64()).unwrap_or(0)
    }

    fn of_kind(&self) -> impl Iterator<Item = &Value> {
        self.items.iter().filter(|item| item["kind"] == "text")
    }

    /// Each number once, in order, and just what is stored.
    pub(super) fn equals_stored(&self, environment: &TestEnvironment, id: &str) {
        let stored = environment.jelmore(["sessions", "show", id]).data();
        let told = |items: &[Value]| -> Vec<(u64, String, String)> {
            let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
            let seq = |item: &Value| item["seq"].as_u64().unwrap();
            items.iter().map(|item| (seq(item), text(item, "kind"), text(item, "text"))).collect()
        };
        let shown = told(&self.items);
        let odd = shown.iter().zip(1..).find(|((seq, ..), expected)| seq != expected);
        assert!(odd.is_none(), "session {id}: a gap or a repeat: {odd:?}");
        assert_eq!(shown, told(stored["items"].as_array().unwrap()), "session {id}");
    }
}
