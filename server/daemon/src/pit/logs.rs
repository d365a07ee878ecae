//! What nodes say, kept beside the records of their run.

use podium_store::rusqlite::params;
use podium_store::{Durability, Store, StoreError};

/// Longest entry, in bytes; of a longer text beginning and end are kept.
const LONGEST: usize = 64 * 1024;
/// Entries of one run. What comes after is in the artifacts only.
const MOST: u64 = 100_000;

#[derive(Clone)]
pub(super) struct Logs {
    store: Store,
    run: i64,
}

impl Logs {
    pub(super) fn new(store: Store, run: i64) -> Self {
        Self { store, run }
    }

    /// Appends an entry. That it cannot be kept is no fault of the node.
    pub(super) async fn add(&self, node: &str, attempt: u32, stream: &'static str, text: &str) {
        let (run, node, text) = (self.run, node.to_owned(), shortened(text));
        let write = self.store.write::<(), StoreError>(Durability::Process, move |tx| {
            let sql = "INSERT INTO melody_logs (run, seq, node, attempt, stream, text, at)
                SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM melody_logs WHERE run = ?1
                HAVING coalesce(max(seq), 0) < ?7";
            tx.prepare_cached(sql)?.execute(params![run, node, attempt, stream, text, tx.now, MOST])?;
            Ok(())
        });
        if let Err(error) = write.await {
            tracing::warn!(run, %error, "what a node said could not be kept");
        }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let half = LONGEST / 2 - 64;
    let head = &text[..text.floor_char_boundary(half)];
    let tail = &text[text.ceil_char_boundary(text.len() - half)..];
    let left_out = text.len() - head.len() - tail.len();
    format!("{head}\n[{left_out} bytes left out]\n{tail}")
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, shortened};

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = format!("begin {} end", "é".repeat(LONGEST));
        let short = shortened(&text);
        assert!(short.len() <= LONGEST, "{}", short.len());
        assert!(short.starts_with("begin ") && short.ends_with(" end"));
        assert_eq!(shortened("short"), "short");
    }
}
