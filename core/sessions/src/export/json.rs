//! JSON: what the protocol says about the session, and all its items.

use podium_protocol::{SessionInfo, SessionItem};

use super::Format;

pub(super) struct Json;

impl Format for Json {
    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn head(&self, session: &SessionInfo) -> String {
        format!("{{\"session\":{},\"items\":[", serde_json::to_string(session).unwrap_or_default())
    }

    fn items(&self, before: Option<&SessionItem>, items: &[SessionItem]) -> String {
        let mut text = String::new();
        for (index, item) in items.iter().enumerate() {
            text += if index == 0 && before.is_none() { "\n" } else { ",\n" };
            text += &serde_json::to_string(item).unwrap_or_default();
        }
        text
    }

    fn tail(&self) -> String {
        "\n]}\n".to_owned()
    }
}
