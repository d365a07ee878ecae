//! An event as it leaves Podium: the JSON form of CloudEvents 1.0, whose attribute names are lower case.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Event;

/// A CloudEvent in structured mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// UUIDv7. Deliveries are at least once: repeats have the same id.
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// RFC 3339, UTC.
    pub time: String,
    /// `application/json`.
    pub datacontenttype: String,
    pub data: Value,
    /// Extension: position in the log that it comes from.
    pub sequence: u64,
    /// Extension: version of the shape of `data`.
    pub dataversion: u32,
    /// Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlationid: Option<String>,
    /// Extension: id of the event that led to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causationid: Option<String>,
}

impl From<Event> for CloudEvent {
    fn from(event: Event) -> Self {
        Self {
            specversion: event.specversion,
            id: event.id,
            source: event.source,
            kind: event.kind,
            subject: event.subject,
            time: event.time,
            datacontenttype: "application/json".to_owned(),
            data: event.data,
            sequence: event.seq,
            dataversion: event.data_version,
            correlationid: event.correlation_id,
            causationid: event.causation_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn its_attributes_are_those_of_the_specification() {
        let event = Event {
            specversion: "1.0".into(),
            seq: 3,
            id: "e".into(),
            source: "podium://box".into(),
            kind: "worktree.created".into(),
            time: "2026-01-02T03:04:05Z".into(),
            subject: Some("worktree/w".into()),
            data_version: 1,
            data: json!({"name": "feat-x"}),
            correlation_id: Some("c".into()),
            causation_id: None,
        };
        let expected = json!({
            "specversion": "1.0", "id": "e", "source": "podium://box", "type": "worktree.created",
            "subject": "worktree/w", "time": "2026-01-02T03:04:05Z", "datacontenttype": "application/json",
            "data": {"name": "feat-x"}, "sequence": 3, "dataversion": 1, "correlationid": "c",
        });
        assert_eq!(serde_json::to_value(CloudEvent::from(event)).unwrap(), expected);
    }
}
