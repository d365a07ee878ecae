//! Times for people.

use jiff::Timestamp;

/// How long ago an RFC 3339 time was: `now`, `42s`, `3m`, `2h`, `5d`. What cannot be read is shown as it is.
#[must_use]
pub fn ago(time: &str, now: Timestamp) -> String {
    let Ok(then) = time.parse::<Timestamp>() else {
        return crate::style::one_line(time);
    };
    match now.as_second().saturating_sub(then.as_second()) {
        // A clock that was set back makes the past look like the future.
        i64::MIN..=0 => "now".to_owned(),
        s @ 1..=59 => format!("{s}s"),
        s @ 60..=3_599 => format!("{}m", s / 60),
        s @ 3_600..=86_399 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// A duration in milliseconds for people.
#[must_use]
pub fn duration(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=59_999 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..=3_599_999 => format!("{}m {}s", ms / 60_000, ms % 60_000 / 1000),
        3_600_000..=86_399_999 => format!("{}h {}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
        _ => format!("{}d {}h", ms / 86_400_000, ms % 86_400_000 / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let now: Timestamp = "2026-01-02T12:00:00Z".parse().unwrap();
        for (time, shown) in [
            ("2026-01-02T12:00:00.5Z", "now"),
            ("2026-01-02T13:00:00Z", "now"),
            ("2026-01-02T11:59:18Z", "42s"),
            ("2026-01-02T11:57:00Z", "3m"),
            ("2026-01-02T09:00:00Z", "3h"),
            ("2025-12-30T12:00:00Z", "3d"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(ago(time, now), shown, "{time}");
        }
    }

    #[test]
    fn durations_have_two_digits_that_matter() {
        let shown: Vec<_> = [7, 1_240, 61_000, 3_700_000, 90_000_000].map(duration).into();
        assert_eq!(shown, ["7 ms", "1.2 s", "1m 1s", "1h 1m", "1d 1h"]);
    }
}
