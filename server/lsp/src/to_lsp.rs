//! From the protocol's types to LSP's.

use podium_protocol::{ClaimInfo, WireError};
use tower_lsp::jsonrpc::{Error, ErrorCode};

/// Code by kind, message for a person, the whole error as `data`.
pub(crate) fn to_error(error: &WireError) -> Error {
    Error {
        code: ErrorCode::from(error.kind.json_rpc_code()),
        message: error.message.clone().into(),
        data: serde_json::to_value(error).ok(),
    }
}

/// What a person reads when something failed: the message and the best hint.
pub(crate) fn to_sentence(error: &WireError) -> String {
    match error.hints.first() {
        Some(hint) => format!("{}: {hint}", error.message),
        None => error.message.clone(),
    }
}

/// How long ago, as a status line says it: `12s`, `3m`, `5h`, `2d`. Empty for a time that cannot be read.
pub(crate) fn to_age(since: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = since.parse::<jiff::Timestamp>() else { return String::new() };
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `claude-1 (3m)`
pub(crate) fn to_holder(claim: &ClaimInfo) -> String {
    match to_age(&claim.since, jiff::Timestamp::now()).as_str() {
        "" => claim.agent_id.clone(),
        age => format!("{} ({age})", claim.agent_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_as_code_and_all_of_it_as_data() {
        let error = WireError::conflict("held").hint("wait");
        let found = to_error(&error);
        assert_eq!((found.code.code(), found.message.as_ref()), (-32003, "held"));
        assert_eq!(serde_json::from_value::<WireError>(found.data.unwrap()).unwrap(), error);
    }

    #[test]
    fn an_age_has_one_unit() {
        let now: jiff::Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        for (since, age) in [
            ("2026-01-01T23:59:30Z", "30s"),
            ("2026-01-01T23:57:00Z", "3m"),
            ("2026-01-01T19:00:00Z", "5h"),
            ("2025-12-31T00:00:00Z", "2d"),
            ("2026-01-03T00:00:00Z", "0s"),
            ("yesterday", ""),
        ] {
            assert_eq!(to_age(since, now), age, "{since}");
        }
    }
}
