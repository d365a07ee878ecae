//! What a session is asked to do next.

use podium_protocol::{SessionInfo, SessionStatus};
use serde_json::{Value, json};

use crate::SessionError;

/// What a person may set for the answers of a session. What is absent stays as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    pub seed: Option<u64>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f64>,
}

impl Bounds {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As the session's row keeps it.
    pub(crate) fn stored(&self) -> String {
        json!({ "seed": self.seed, "maxTokens": self.max_tokens, "temperature": self.temperature })
            .to_string()
    }

    /// The same over what the row has.
    pub(crate) fn over(&self, stored: &str) -> String {
        let mut request: Value = serde_json::from_str(stored).unwrap_or_default();
        if !request.is_object() {
            request = json!({});
        }
        // Whatever else a later or an earlier version keeps there stays.
        let mut set = |name: &str, value: Value| {
            if !value.is_null() || request.get(name).is_none() {
                request[name] = value;
            }
        };
        set("seed", json!(self.seed));
        set("maxTokens", json!(self.max_tokens));
        set("temperature", json!(self.temperature));
        request.to_string()
    }
}

/// What a whole session may use, as who started it says; beside the budgets of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Tokens, asked and answered.
    pub tokens: Option<u64>,
}

impl Limits {
    /// Of a session's row.
    pub(crate) fn read(stored: &str) -> Self {
        let request: Value = serde_json::from_str(stored).unwrap_or_default();
        Self { cost_usd: request["maxCostUsd"].as_f64(), tokens: request["maxTotalTokens"].as_u64() }
    }

    /// Over what the row has; what is absent stays.
    pub(crate) fn over(&self, stored: &str) -> String {
        let mut request: Value = serde_json::from_str(stored).unwrap_or_default();
        if let Some(cost) = self.cost_usd {
            request["maxCostUsd"] = json!(cost);
        }
        if let Some(tokens) = self.tokens {
            request["maxTotalTokens"] = json!(tokens);
        }
        request.to_string()
    }
}

/// Another turn, or the rest of the last one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Next {
    /// Absent: what was interrupted is finished.
    pub prompt: Option<String>,
    /// For the turn that the prompt begins, and those after it.
    pub bounds: Bounds,
    /// For all that follows.
    pub limits: Limits,
    /// An answer that a person cancelled is finished all the same.
    pub again: bool,
}

impl Next {
    /// Whether the session stays as it is: it is complete, and nothing is to be added.
    ///
    /// # Errors
    /// `Cancelled` when only asking for it would go on; `Invalid` for bounds without a turn they are for.
    pub fn leaves_as_is(&self, session: &SessionInfo) -> Result<bool, SessionError> {
        if self.prompt.is_some() {
            return Ok(false);
        }
        if !self.bounds.is_empty() {
            let text = "seed, bound and temperature are for a new turn, and there is no prompt for one";
            return Err(SessionError::Invalid(text.to_owned()));
        }
        if session.status == SessionStatus::Cancelled && !self.again {
            return Err(SessionError::Cancelled(session.id.clone()));
        }
        Ok(session.status == SessionStatus::Completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_anew_stays() {
        let first = Bounds { seed: Some(7), max_tokens: Some(20), temperature: None };
        let second = Bounds { max_tokens: Some(5), temperature: Some(0.5), ..Bounds::default() };
        let merged = Bounds { seed: Some(7), max_tokens: Some(5), temperature: Some(0.5) };
        assert_eq!(second.over(&first.stored()), merged.stored());
        assert_eq!(Bounds::default().over(&first.stored()), first.stored());
    }

    #[test]
    fn a_limit_stays_until_another_one_is_given() {
        let first = Limits { cost_usd: Some(0.5), tokens: Some(9) };
        let stored = first.over(&Bounds::default().stored());
        assert_eq!(Limits::read(&Limits::default().over(&stored)), first);
        let raised = Limits { cost_usd: Some(2.0), tokens: None }.over(&stored);
        assert_eq!(Limits::read(&raised), Limits { cost_usd: Some(2.0), tokens: Some(9) });
    }

    #[test]
    fn what_the_row_keeps_beside_the_bounds_stays() {
        let stored = r#"{"seed":7,"maxTokens":20,"forkedFrom":{"id":"s","seq":4}}"#;
        let request: Value =
            serde_json::from_str(&Bounds { max_tokens: Some(5), ..Bounds::default() }.over(stored)).unwrap();
        let expected =
            json!({ "seed": 7, "maxTokens": 5, "temperature": null, "forkedFrom": { "id": "s", "seq": 4 } });
        assert_eq!(request, expected);
    }
}
