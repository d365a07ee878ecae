//! Finding sessions by their words.
//!
//! The index is derived: it is brought up to date when somebody searches, so that storing an answer costs nothing more.
//! It knows passages, which are an answer's pieces joined: a word that two pieces share is found.

use podium_protocol::{ItemKind, SessionHit, SessionMatch};
use podium_store::rusqlite::{Connection, params, params_from_iter, types::Value};
use podium_store::{Durability, StoreError, Tx};

use crate::manager::Sessions;
use crate::{SessionError, rows};

/// Words of a search.
const WORDS: usize = 10;
/// Places that are shown of one session.
const MATCHES: usize = 3;
/// Items that are read into the index in one transaction.
const ITEMS_AT_ONCE: usize = 5_000;
/// Items of the longest passage that is read again when it has grown.
const GROWS: usize = 500;
/// Longest passage, in bytes.
const PASSAGE: usize = 64 * 1024;
/// Characters around the first word found.
const AROUND: usize = 60;

impl Sessions {
    /// Sessions that hold all these words, newest first, with the ids of the repositories they were started in. `repos`:
    /// of these only; `own`: only this session.
    ///
    /// # Errors
    /// What the database says.
    pub async fn search(
        &self,
        query: &str,
        limit: Option<u32>,
        repos: Option<Vec<String>>,
        own: Option<String>,
    ) -> Result<Vec<(SessionHit, Option<String>)>, SessionError> {
        let words = words_of(query);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        while self.inner.store.write(Durability::Process, read_on).await? {}
        let limit = limit.unwrap_or(50).clamp(1, 1_000);
        let find = move |conn: &Connection| -> Result<_, SessionError> {
            Ok(find(conn, &words, limit, repos.as_deref(), own.as_deref())?)
        };
        self.inner.store.read(find).await
    }
}

/// Letters and digits, in lower case.
fn words_of(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).take(WORDS).collect()
}

/// Reads items that are not in the index yet; whether there are more.
fn read_on(tx: &Tx<'_>) -> Result<bool, StoreError> {
    let sql =
        "SELECT s.id, coalesce(r.seq, 0) FROM sessions AS s LEFT JOIN passages_read AS r ON r.session = s.id
        WHERE s.last_seq > coalesce(r.seq, 0) LIMIT 50";
    let mut statement = tx.prepare_cached(sql)?;
    let behind: Vec<(String, u64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut room = ITEMS_AT_ONCE;
    for (session, seq) in &behind {
        if room == 0 {
            return Ok(true);
        }
        room = room.saturating_sub(index(tx, session, *seq, room)?);
    }
    Ok(!behind.is_empty())
}

/// Reads one session on; gives the number of items read. A passage that was the last one may have grown: it is read again.
fn index(tx: &Tx<'_>, session: &str, read: u64, room: usize) -> Result<usize, StoreError> {
    let sql = "SELECT id, seq FROM passages WHERE session = ?1 AND kind IN ('text', 'thinking') AND last = ?2
        AND last - seq < ?3";
    let mut last = tx.prepare_cached(sql)?;
    let open: Option<(i64, u64)> = last
        .query_map(params![session, read, GROWS], |row| Ok((row.get(0)?, row.get(1)?)))?
        .next()
        .transpose()?;
    let from = open.map_or(read, |(_, seq)| seq - 1);
    let (items, _) = rows::items(tx, session, from, room.max(2 * GROWS), usize::MAX)?;
    if let Some((id, _)) = open {
        tx.prepare_cached("DELETE FROM passages WHERE id = ?1")?.execute([id])?;
    }
    let mut passage: Option<Passage> = None;
    for stored in &items {
        let item = &stored.item;
        if passage.as_mut().is_some_and(|passage| passage.takes(item)) {
            continue;
        }
        if let Some(done) = passage.replace(Passage::of(item)) {
            done.insert(tx, session)?;
        }
    }
    if let Some(done) = passage {
        done.insert(tx, session)?;
    }
    let up_to = items.last().map_or(read, |stored| stored.item.seq);
    let sql = "INSERT INTO passages_read (session, seq) VALUES (?1, ?2)
        ON CONFLICT (session) DO UPDATE SET seq = excluded.seq";
    tx.prepare_cached(sql)?.execute(params![session, up_to])?;
    Ok(items.len())
}

struct Passage {
    seq: u64,
    last: u64,
    kind: ItemKind,
    text: String,
}

impl Passage {
    fn of(item: &podium_protocol::SessionItem) -> Self {
        Self { seq: item.seq, last: item.seq, kind: item.kind, text: words_in(item) }
    }

    /// Whether the item goes on where this ends.
    fn takes(&mut self, item: &podium_protocol::SessionItem) -> bool {
        let joins = matches!(item.kind, ItemKind::Text | ItemKind::Thinking) && item.kind == self.kind;
        if !joins || self.text.len() + item.text.len() > PASSAGE {
            return false;
        }
        self.text.push_str(&item.text);
        self.last = item.seq;
        true
    }

    fn insert(&self, tx: &Tx<'_>, session: &str) -> Result<(), StoreError> {
        if self.text.trim().is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO passages (session, seq, last, kind) VALUES (?1, ?2, ?3, ?4)";
        tx.prepare_cached(sql)?.execute(params![session, self.seq, self.last, self.kind.as_str()])?;
        let id = tx.last_insert_rowid();
        tx.prepare_cached("INSERT INTO passage_words (rowid, text) VALUES (?1, ?2)")?
            .execute(params![id, self.text])?;
        Ok(())
    }
}

/// What is looked through: of a call also what it was called with.
fn words_in(item: &podium_protocol::SessionItem) -> String {
    let input = match item.kind {
        ItemKind::ToolCall => item.data.as_ref().map(|data| data["input"].to_string()),
        ItemKind::Checkpoint | ItemKind::Usage => return String::new(),
        _ => None,
    };
    let whole = match input {
        Some(input) => format!("{} {input}", item.text),
        None => item.text.clone(),
    };
    whole[..whole.floor_char_boundary(PASSAGE)].to_owned()
}

fn find(
    conn: &Connection,
    words: &[String],
    limit: u32,
    repos: Option<&[String]>,
    own: Option<&str>,
) -> Result<Vec<(SessionHit, Option<String>)>, StoreError> {
    let mut condition = String::from("1");
    let mut values: Vec<Value> = Vec::new();
    for word in words {
        condition.push_str(
            " AND id IN (SELECT p.session FROM passage_words JOIN passages AS p ON p.id = passage_words.rowid
                WHERE passage_words MATCH ?)",
        );
        values.push(Value::Text(beginning(word)));
    }
    if let Some(repos) = repos {
        condition.push_str(" AND repo IN (SELECT value FROM json_each(?))");
        values.push(Value::Text(serde_json::json!(repos).to_string()));
    }
    if let Some(own) = own {
        condition.push_str(" AND id = ?");
        values.push(Value::Text(own.to_owned()));
    }
    values.push(Value::Integer(limit.into()));
    let mut found = Vec::new();
    for (session, repo) in rows::matching(conn, &condition, params_from_iter(values))? {
        let matches = matches_in(conn, &session.id, words)?;
        found.push((SessionHit { session, matches }, repo));
    }
    Ok(found)
}

/// A word, or how it begins.
fn beginning(word: &str) -> String {
    format!("\"{word}\"*")
}

/// The best passages of a session.
fn matches_in(conn: &Connection, session: &str, words: &[String]) -> Result<Vec<SessionMatch>, StoreError> {
    let sql = "SELECT p.seq, p.last FROM passage_words JOIN passages AS p ON p.id = passage_words.rowid
        WHERE passage_words MATCH ?1 AND p.session = ?2 ORDER BY bm25(passage_words), p.seq LIMIT ?3";
    let any: Vec<String> = words.iter().map(|word| beginning(word)).collect();
    let mut statement = conn.prepare_cached(sql)?;
    let places = statement.query_map(params![any.join(" OR "), session, MATCHES], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
    })?;
    let mut found = Vec::new();
    for place in places {
        let (seq, last) = place?;
        let count = usize::try_from(last - seq + 1).unwrap_or(usize::MAX);
        let (items, _) = rows::items(conn, session, seq - 1, count, usize::MAX)?;
        let Some(first) = items.first() else { continue };
        let mut text = words_in(&first.item);
        items[1..].iter().for_each(|stored| text.push_str(&stored.item.text));
        let (snippet, at) = snippet(&text, words);
        found.push(SessionMatch { seq: item_at(&items, at), kind: first.item.kind, snippet });
    }
    Ok(found)
}

/// Number of the item that the byte of the joined text is in.
fn item_at(items: &[rows::StoredItem], byte: usize) -> u64 {
    let mut end = 0;
    for stored in items {
        end += stored.item.text.len();
        if byte < end {
            return stored.item.seq;
        }
    }
    items.first().map_or(0, |stored| stored.item.seq)
}

/// One line around the first of the words, and the byte where that begins.
fn snippet(text: &str, words: &[String]) -> (String, usize) {
    let at =
        word_starts(text).find(|at| words.iter().any(|word| begins_with(&text[*at..], word))).unwrap_or(0);
    let from = text[..at].char_indices().rev().nth(AROUND - 1).map_or(0, |(byte, _)| byte);
    let to = text[at..].char_indices().nth(AROUND * 2).map_or(text.len(), |(byte, _)| at + byte);
    let middle: Vec<&str> = text[from..to].split_whitespace().collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    (format!("{before}{}{after}", middle.join(" ")), at)
}

fn word_starts(text: &str) -> impl Iterator<Item = usize> {
    let mut in_word = false;
    text.char_indices().filter_map(move |(byte, c)| {
        let starts = c.is_alphanumeric() && !in_word;
        in_word = c.is_alphanumeric();
        starts.then_some(byte)
    })
}

/// Without regard to case and, as the index sees it, accents of single letters.
fn begins_with(text: &str, word: &str) -> bool {
    let plain = |c: char| c.to_lowercase().next().map_or(c, without_accent);
    let mut letters = text.chars().map(plain);
    word.chars().map(plain).all(|wanted| letters.next() == Some(wanted))
}

/// Latin letters of the first supplement.
fn without_accent(c: char) -> char {
    match c {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        'ý' | 'ÿ' => 'y',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_shows_the_word_in_its_surroundings() {
        let text = format!("{} the Léuchtturm stands {}", "x ".repeat(100), "y ".repeat(200));
        let (line, at) = snippet(&text, &words_of("leucht"));
        assert!(
            line.starts_with('…') && line.ends_with('…') && line.contains("the Léuchtturm stands"),
            "{line}"
        );
        assert!(text[at..].starts_with("Léucht"));
        assert_eq!(snippet("a\nb", &words_of("b")).0, "a b");
    }

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(words_of("\"light-house\" OR v2*"), ["light", "house", "or", "v2"]);
        assert!(words_of("--").is_empty());
    }
}
