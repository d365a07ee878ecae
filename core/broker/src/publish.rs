//! Events that are not the daemon's own: judged, bounded, redacted, checked, and appended.

use podium_protocol::{Event, EventPublishParams, TaskInfo};
use podium_secrets::Redactor;
use podium_store::{Durability, EventKey, NewEvent, Tx, find_event};
use serde_json::Value;

use crate::names::{ASSIGNED, FAILED, Judged, judge};
use crate::tasks::Tasks;
use crate::{BrokerError, types};

/// Largest data of an event, in bytes of JSON. What is larger travels as the id of an artifact.
pub const MAX_DATA: usize = 64 * 1024;
/// Longest subject, in bytes.
const MAX_SUBJECT: usize = 256;
/// Longest id of another event or of what it belongs to, in bytes.
const MAX_ID: usize = 128;

/// Who publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publisher {
    /// A person, or a program of theirs: `person:ann@host`.
    Person { name: String },
    /// An agent on the socket of its session. It tells of what it did; it makes nobody else act.
    Agent { name: String, session: String },
}

/// An event that passed all that can be judged without the log.
#[derive(Debug)]
pub struct Publication {
    event: NewEvent,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub event: Event,
    /// It is there from before.
    pub duplicate: bool,
    pub task: Option<TaskInfo>,
}

impl Publication {
    /// Judges what somebody wants to publish.
    ///
    /// # Errors
    /// [`BrokerError`] for a type that is none or not theirs, and for data that is too large or not of its schema.
    pub fn new(params: EventPublishParams, by: &Publisher, redactor: &Redactor) -> Result<Self, BrokerError> {
        let kind = params.kind;
        match (judge(&kind)?, by) {
            (Judged::Reserved, _) => return Err(BrokerError::Reserved(kind)),
            (Judged::OfTasks, Publisher::Agent { .. }) => return Err(BrokerError::NotForAgents(kind)),
            (Judged::OfTasks | Judged::Custom, _) => {}
        }
        let text =
            |what, value: Option<String>, most| bounded(what, value.map(|v| redactor.redact(&v)), most);
        let data = match params.data {
            Value::Null => Value::Object(serde_json::Map::new()),
            data => redacted(data, redactor),
        };
        if data.to_string().len() > MAX_DATA {
            let text =
                "the data of an event has at most 64 KiB; store the rest as an artifact and name its id";
            return Err(BrokerError::Bound(text.to_owned()));
        }
        types::check(&kind, &data)?;
        let subject = text("subject", params.subject, MAX_SUBJECT)?;
        let subject = subject.or_else(|| default_subject(&kind, &data, by)).unwrap_or_default();
        let mut event = NewEvent::new(kind, subject, data);
        event.id = params.id.map(|id| uuid_of(&id)).transpose()?;
        event.correlation = text("correlation id", params.correlation_id, MAX_ID)?.or_else(|| by.session());
        event.causation = text("causation id", params.causation_id, MAX_ID)?;
        event.origin = Some(by.origin());
        Ok(Self { event })
    }
}

impl Publisher {
    fn session(&self) -> Option<String> {
        match self {
            Self::Person { .. } => None,
            Self::Agent { session, .. } => Some(session.clone()),
        }
    }

    /// As the end of the event's source, which is a URI.
    fn origin(&self) -> String {
        let (kind, name) = match self {
            Self::Person { name } => ("person", name.strip_prefix("person:").unwrap_or(name)),
            Self::Agent { name, .. } => ("agent", name.as_str()),
        };
        let mut text = format!("{kind}/");
        for byte in name.bytes().take(MAX_ID) {
            match byte {
                b'-' | b'.' | b'_' | b'~' | b'@' | b':' => text.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
                _ => text += &format!("%{byte:02X}"),
            }
        }
        text
    }
}

/// Appends it, and does with its task what it says, in one transaction.
///
/// # Errors
/// [`BrokerError::IdTaken`] for another event of the same id, and what a task refuses.
pub async fn publish(tasks: &Tasks, publication: Publication) -> Result<Published, BrokerError> {
    let event = publication.event;
    let write = tasks.store().write(Durability::Power, move |tx| append(tx, &event));
    let published = write.await?;
    if published.task.is_some() {
        tasks.tell();
    }
    Ok(published)
}

fn append(tx: &Tx<'_>, event: &NewEvent) -> Result<Published, BrokerError> {
    if let Some(id) = &event.id
        && let Some(there) = find_event(tx, EventKey::Id(id))?
    {
        let same = there.kind == event.kind && there.data == event.data;
        let again = Published { event: there, duplicate: true, task: None };
        return if same { Ok(again) } else { Err(BrokerError::IdTaken(id.clone())) };
    }
    match (judge(&event.kind)?, event.kind.as_ref()) {
        (Judged::OfTasks, ASSIGNED) => Tasks::assign(tx, event),
        (Judged::OfTasks, kind) => Tasks::report(tx, event, kind != FAILED),
        (Judged::Custom | Judged::Reserved, _) => {
            let event = appended(tx, event)?;
            Ok(Published { event, duplicate: false, task: None })
        }
    }
}

/// Appends an event and gives it as readers of the log see it.
pub(crate) fn appended(tx: &Tx<'_>, event: &NewEvent) -> Result<Event, BrokerError> {
    let seq = tx.emit(event)?;
    let found = find_event(tx, EventKey::Seq(seq))?;
    found.ok_or_else(|| BrokerError::sql(podium_store::rusqlite::Error::QueryReturnedNoRows))
}

fn default_subject(kind: &str, data: &Value, by: &Publisher) -> Option<String> {
    match (judge(kind), data["id"].as_str()) {
        (Ok(Judged::OfTasks), Some(id)) => Some(format!("task/{id}")),
        _ => by.session().map(|session| format!("session/{session}")),
    }
}

fn uuid_of(id: &str) -> Result<String, BrokerError> {
    let parsed = uuid::Uuid::try_parse(id);
    parsed.map(|id| id.to_string()).map_err(|_| BrokerError::Bound("the id of an event is a UUID".to_owned()))
}

fn bounded(what: &str, value: Option<String>, most: usize) -> Result<Option<String>, BrokerError> {
    let Some(value) = value else { return Ok(None) };
    if value.is_empty() || value.len() > most || value.chars().any(char::is_control) {
        return Err(BrokerError::Bound(format!("a {what} has 1 to {most} bytes and no control characters")));
    }
    Ok(Some(value))
}

fn redacted(value: Value, redactor: &Redactor) -> Value {
    match value {
        Value::String(text) => Value::String(redactor.redact(&text)),
        Value::Array(items) => items.into_iter().map(|item| redacted(item, redactor)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, redacted(value, redactor))).collect()
        }
        other => other,
    }
}
