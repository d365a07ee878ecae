//! Reading and trimming the event log.

use std::borrow::Cow;

use podium_protocol::Event;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::{StoreError, rfc3339};

/// Rows looked at for one page, so that a filter that matches nothing does not hold a connection for long.
const SCAN: usize = 2_000;

/// An event about to be appended.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub kind: Cow<'static, str>,
    /// What it is about: `worktree/<id>`, `session/<id>`; empty where nothing is named.
    pub subject: String,
    /// Version of the shape of `data`.
    pub data_version: u32,
    pub data: Value,
    pub correlation: Option<String>,
    pub causation: Option<String>,
    /// Absent: a new UUIDv7. An id that is there already fails the request.
    pub id: Option<String>,
    /// Who published it, as a path of a URI; absent for the daemon itself.
    pub origin: Option<String>,
}

impl NewEvent {
    #[must_use]
    pub fn new(kind: impl Into<Cow<'static, str>>, subject: impl Into<String>, data: Value) -> Self {
        Self {
            kind: kind.into(),
            subject: subject.into(),
            data_version: 1,
            data,
            correlation: None,
            causation: None,
            id: None,
            origin: None,
        }
    }

    #[must_use]
    pub fn correlated(mut self, id: impl Into<String>) -> Self {
        self.correlation = Some(id.into());
        self
    }
}

/// Part of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    pub events: Vec<Event>,
    /// Everything up to here was looked at; go on from it.
    pub scanned_to: u64,
    /// Whether the log ended within this page.
    pub at_end: bool,
}

/// Events above `from`, oldest first, at most `limit`, of the given types (`worktree.*` takes all below; none: all).
///
/// # Errors
/// When the database refuses.
pub fn read_events(
    conn: &Connection,
    from: u64,
    types: &[String],
    limit: usize,
) -> Result<EventPage, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, id, type, time, subject, data_version, data, correlation, causation, origin
         FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut page = EventPage { events: Vec::new(), scanned_to: from, at_end: true };
    let mut scanned = 0;
    let mut rows = statement.query(params![from, SCAN + 1])?;
    while let Some(row) = rows.next()? {
        if scanned == SCAN || page.events.len() == limit {
            page.at_end = false;
            break;
        }
        scanned += 1;
        page.scanned_to = row.get(0)?;
        let kind: String = row.get(2)?;
        if matches(types, &kind) {
            page.events.push(to_event(row, kind)?);
        }
    }
    Ok(page)
}

/// Which event is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKey<'a> {
    Seq(u64),
    Id(&'a str),
    /// The only one whose id begins so.
    Beginning(&'a str),
}

/// One event; `None` where there is none, or for a beginning more than one.
///
/// # Errors
/// When the database refuses.
pub fn find_event(conn: &Connection, key: EventKey<'_>) -> Result<Option<Event>, StoreError> {
    const COLUMNS: &str = "seq, id, type, time, subject, data_version, data, correlation, causation, origin";
    let one = |condition: &str, value: &dyn rusqlite::ToSql| {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE {condition} LIMIT 2");
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query([value])?;
        let first = rows.next()?.map(|row| to_event(row, row.get(2)?)).transpose()?;
        Ok::<_, rusqlite::Error>(if rows.next()?.is_some() { None } else { first })
    };
    Ok(match key {
        EventKey::Seq(seq) => one("seq = ?1", &seq)?,
        EventKey::Id(id) => one("id = ?1", &id)?,
        EventKey::Beginning(text) => {
            let literal = text.replace(['*', '?', '['], "");
            let exact = literal == text && !text.is_empty();
            if exact { one("id GLOB ?1", &format!("{literal}*"))? } else { None }
        }
    })
}

/// Number and newest place of each type that the log has, by name.
///
/// # Errors
/// When the database refuses.
pub fn count_types(conn: &Connection) -> Result<Vec<(String, u64, u64)>, StoreError> {
    let sql = "SELECT type, count(*), max(seq) FROM events GROUP BY type ORDER BY type";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn to_event(row: &rusqlite::Row<'_>, kind: String) -> Result<Event, rusqlite::Error> {
    let (data, origin): (String, Option<String>) = (row.get(6)?, row.get(9)?);
    Ok(Event {
        specversion: "1.0".to_owned(),
        seq: row.get(0)?,
        id: row.get(1)?,
        source: origin.map_or_else(source, |origin| format!("{}/{origin}", source())),
        kind,
        time: rfc3339(row.get(3)?),
        subject: row.get(4)?,
        data_version: row.get(5)?,
        data: serde_json::from_str(&data).unwrap_or(Value::Null),
        correlation_id: row.get(7)?,
        causation_id: row.get(8)?,
    })
}

fn source() -> String {
    static SOURCE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    SOURCE.get_or_init(|| format!("podium://{}", host_name())).clone()
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

fn matches(types: &[String], kind: &str) -> bool {
    types.is_empty()
        || types.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => wanted == kind,
        })
}

/// Deletes events older than `before` (milliseconds), but never the newest one, which holds the head. Returns how
/// many went.
///
/// # Errors
/// When the database refuses.
pub fn purge_events(conn: &Connection, before: i64) -> Result<usize, StoreError> {
    // By place, not by time: after a clock that jumped, single events in the middle look old.
    let sql = "DELETE FROM events WHERE seq < coalesce(
            (SELECT min(seq) FROM events WHERE time >= ?1), (SELECT max(seq) FROM events))";
    Ok(conn.execute(sql, [before])?)
}
