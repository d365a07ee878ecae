//! Durations and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time, written `60s`, `1m 30s` or `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub Duration);

/// The longest interval: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read: SignedDuration = text
            .trim()
            .parse()
            .map_err(|_| format!("`{text}` is no duration, such as \"60s\" or \"1m30s\""))?;
        let duration = Duration::try_from(read).map_err(|_| format!("`{text}` is negative"))?;
        if duration.is_zero() || duration > LONGEST {
            return Err(format!("`{text}` is not between a millisecond and a week"));
        }
        Ok(Self(duration))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

/// A number of bytes, written `512MB` or `2 GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size, such as \"512MB\" or \"2GiB\"");
        let upper = text.trim().to_ascii_uppercase();
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((upper.strip_suffix(unit)?, *factor)))
            .unwrap_or((&upper, 1));
        let number: u64 = number.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(factor).filter(|size| *size > 0).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.iter().filter(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = fitting.max_by_key(|(_, factor)| *factor).copied().unwrap_or(("B", 1));
        let unit = unit.replace("IB", "iB");
        write!(f, "{}{unit}", self.0 / factor)
    }
}

macro_rules! written_as_text {
    ($type:ident, $pattern:literal, $example:literal) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}
written_as_text!(Interval, "^\\s*[0-9].*$", "60s");
written_as_text!(Size, "^\\s*[0-9]+\\s*([KMGTkmgt]?[iI]?[bB])?\\s*$", "512MB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_people_do() {
        assert_eq!("60s".parse::<Interval>().unwrap().0, Duration::from_secs(60));
        assert_eq!("1m30s".parse::<Interval>().unwrap().0, Duration::from_secs(90));
        let written = Interval(Duration::from_millis(90_500)).to_string();
        assert_eq!(written.parse::<Interval>().unwrap().0, Duration::from_millis(90_500), "{written}");
        for wrong in ["", "soon", "-1s", "0s", "60", "99999h"] {
            assert!(wrong.parse::<Interval>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_as_people_do() {
        assert_eq!("512MB".parse::<Size>().unwrap(), Size(512_000_000));
        assert_eq!("2 gib".parse::<Size>().unwrap().to_string(), "2GiB");
        assert_eq!(Size(1_500_000).to_string(), "1500KB");
        assert_eq!("17".parse::<Size>().unwrap().to_string(), "17B");
        for wrong in ["", "MB", "-1MB", "0", "99999999999TB", "1.5GB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
