//! What was measured, as a table and as JSON.

use serde_json::{Value, json};

/// One measured thing.
pub(crate) struct Row {
    name: String,
    unit: &'static str,
    value: f64,
    p99: Option<f64>,
    peer: Option<(String, f64)>,
    asked: Option<Asked>,
    note: String,
}

/// What the value answers to.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    AtMost(f64),
    /// For the median and for the 99th percentile.
    BothAtMost(f64, f64),
    AtLeast(f64),
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        let name = name.into();
        Self { name, unit, value, p99: None, peer: None, asked: None, note: String::new() }
    }

    pub(crate) fn p99(mut self, p99: f64) -> Self {
        self.p99 = Some(p99);
        self
    }

    pub(crate) fn beside(mut self, peer: impl Into<String>, value: f64) -> Self {
        self.peer = Some((peer.into(), value));
        self
    }

    pub(crate) fn asked(mut self, asked: Asked) -> Self {
        self.asked = Some(asked);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn met(&self) -> Option<bool> {
        self.asked.map(|asked| match asked {
            Asked::AtMost(most) => self.value <= most,
            Asked::BothAtMost(most, p99) => self.value <= most && self.p99.is_some_and(|found| found <= p99),
            Asked::AtLeast(least) => self.value >= least,
        })
    }

    fn json(&self, part: &str) -> Value {
        let asked = self.asked.map(|asked| match asked {
            Asked::AtMost(most) => json!({ "atMost": most }),
            Asked::BothAtMost(most, p99) => json!({ "atMost": most, "p99AtMost": p99 }),
            Asked::AtLeast(least) => json!({ "atLeast": least }),
        });
        let peer = self.peer.as_ref().map(|(name, value)| json!({ "name": name, "value": value }));
        json!({
            "part": part, "name": self.name, "unit": self.unit, "value": self.value, "p99": self.p99,
            "peer": peer, "asked": asked, "met": self.met(), "note": self.note,
        })
    }
}

pub(crate) fn table(rows: &[(&str, Row)]) -> String {
    let number =
        |value: f64| if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    let line = |(part, row): &(&str, Row)| {
        let p99 = row.p99.map_or(String::new(), |p99| format!(" (p99 {})", number(p99)));
        let peer =
            row.peer.as_ref().map_or(String::new(), |(name, value)| format!("{name} {}", number(*value)));
        let asked = match row.asked {
            None => String::new(),
            Some(Asked::AtMost(most)) => format!("<= {}", number(most)),
            Some(Asked::BothAtMost(most, p99)) => format!("<= {} (p99 {})", number(most), number(p99)),
            Some(Asked::AtLeast(least)) => format!(">= {}", number(least)),
        };
        let met = match row.met() {
            None => "",
            Some(true) => "met",
            Some(false) => "MISSED",
        };
        let ours = format!("{}{p99} {}", number(row.value), row.unit);
        format!("{part:<12} {:<46} {ours:<26} {peer:<34} {asked:<20} {met:<6} {}", row.name, row.note)
    };
    rows.iter().map(|row| line(row).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

pub(crate) fn json(rows: &[(&str, Row)]) -> Vec<Value> {
    rows.iter().map(|(part, row)| row.json(part)).collect()
}
