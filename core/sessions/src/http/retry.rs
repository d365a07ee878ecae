//! When to try again, and how long to wait.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

/// Attempts of one request, the first included.
const ATTEMPTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What a server asks for is obeyed up to here.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The server answered, but not with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<String>,
}

impl Refusal {
    /// What the server says, in a few words.
    pub(crate) fn message(&self) -> String {
        let parsed: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let said = parsed["error"]["message"].as_str().or_else(|| parsed["message"].as_str());
        let said = said.or_else(|| parsed["error"].as_str()).unwrap_or(self.body.trim());
        let said = said.lines().next().unwrap_or_default();
        let cut = said.floor_char_boundary(500);
        if said.is_empty() { format!("HTTP {}", self.status) } else { said[..cut].to_owned() }
    }

    /// Whether a shorter conversation may be answered. Codes stand beside the words.
    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self.status, 400 | 413 | 500) && is_too_long(&self.body)
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status, 408 | 409 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=529)
    }

    /// Time that the server asks to be given: seconds or, as a date, from now.
    pub(crate) fn asked_wait(&self) -> Option<Duration> {
        let asked = self.retry_after.as_deref()?.trim();
        if let Ok(seconds) = asked.parse::<f64>() {
            let bounded = || Duration::from_secs_f64(seconds.min(LONGEST_ASKED.as_secs_f64()));
            return (seconds >= 0.0).then(bounded);
        }
        let until = DateTimeParser::new().parse_timestamp(asked).ok()?;
        // A date that is over by our clock asks for nothing.
        let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        Some(left.min(LONGEST_ASKED))
    }
}

/// Whether a server's words say that the conversation is longer than its model takes.
pub(crate) fn is_too_long(said: &str) -> bool {
    const WORDS: &[&str] = &[
        "prompt is too long",
        "context_length_exceeded",
        "exceed context limit",
        "exceeds the available context size",
        "exceed_context_size",
        "maximum context length",
        "context window",
    ];
    let said = said.to_lowercase();
    WORDS.iter().any(|words| said.contains(words))
}

/// Why a request gave no stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Refused(Refusal),
    Unreachable(String),
    /// It took the request and says nothing.
    Silent(String),
    /// It could not even be sent.
    Invalid(String),
}

impl Fault {
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_passing(),
            Self::Unreachable(_) | Self::Silent(_) => true,
            Self::Invalid(_) => false,
        }
    }

    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused(refusal) => format!("{} (HTTP {})", refusal.message(), refusal.status),
            Self::Unreachable(why) | Self::Silent(why) | Self::Invalid(why) => why.clone(),
        }
    }

    fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.asked_wait(),
            _ => None,
        }
    }
}

/// Counts attempts that gave nothing; one that gave something begins anew.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failed: u32,
}

impl Backoff {
    /// Time until the next attempt; `None` when there were enough.
    pub(crate) fn after(&mut self, fault: &Fault) -> Option<Duration> {
        self.failed += 1;
        if !fault.is_passing() || self.failed >= ATTEMPTS {
            return None;
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << (self.failed - 1).min(10)).min(LONGEST_WAIT);
        // Many sessions that were refused together do not come back together.
        let spread = doubled.mul_f64(0.75 + 0.5 * rand::random::<f64>());
        Some(fault.asked_wait().unwrap_or(spread).max(Duration::from_millis(50)))
    }

    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str, retry_after: Option<&str>) -> Fault {
        let retry_after = retry_after.map(str::to_owned);
        Fault::Refused(Refusal { status, body: body.to_owned(), retry_after })
    }

    #[test]
    fn the_servers_own_time_is_obeyed_and_others_double() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.after(&refused(429, "", Some("7"))), Some(Duration::from_secs(7)));
        let second = backoff.after(&refused(529, "", None)).unwrap();
        assert!((Duration::from_millis(750)..=Duration::from_millis(1250)).contains(&second), "{second:?}");
        assert_eq!(backoff.after(&refused(500, "", Some("1e300"))), Some(LONGEST_ASKED));
        assert!(backoff.after(&refused(503, "", Some("soon"))).is_some());
        let asked = |date: &str| match refused(429, "", Some(date)) {
            Fault::Refused(refusal) => refusal.asked_wait(),
            _ => unreachable!(),
        };
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("Tue, 31 Dec 2199 23:59:59 GMT"), Some(LONGEST_ASKED));
        let soon = jiff::fmt::rfc2822::to_string(&(jiff::Zoned::now() + jiff::SignedDuration::from_secs(30)));
        assert!(
            (Duration::from_secs(28)..=Duration::from_secs(30)).contains(&asked(&soon.unwrap()).unwrap())
        );
        assert!(backoff.after(&Fault::Unreachable("x".into())).is_some());
        assert_eq!(backoff.after(&Fault::Unreachable("x".into())), None, "six attempts are enough");
    }

    #[test]
    fn what_cannot_succeed_later_is_not_tried_again() {
        for status in [400, 401, 403, 404, 413, 422] {
            assert_eq!(Backoff::default().after(&refused(status, "", None)), None, "{status}");
        }
    }

    #[test]
    fn the_servers_words_are_found_in_its_answer() {
        let said = |body: &str| match refused(400, body, None) {
            Fault::Refused(refusal) => refusal.message(),
            _ => unreachable!(),
        };
        assert_eq!(said(r#"{"type":"error","error":{"type":"x","message":"too long"}}"#), "too long");
        assert_eq!(said(r#"{"error":"model not found"}"#), "model not found");
        assert_eq!(said("<html>\nbad gateway"), "<html>");
        assert_eq!(said(""), "HTTP 400");
    }
}
