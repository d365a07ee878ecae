//! What was measured, as a table and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::Effort;
use crate::machine::{self, Machine};
use crate::stats::Samples;

/// One measured thing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    part: &'static str,
    name: String,
    ours: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Peer>,
    /// Ours over the peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    /// `null`: for information.
    asked: Option<Asked>,
    met: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

#[derive(Serialize)]
struct Peer {
    name: String,
    #[serde(flatten)]
    figure: Figure,
}

/// A number, and how it was spread where it was measured more than once. `value` is the median then.
#[derive(Serialize, Clone)]
pub(crate) struct Figure {
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<f64>,
    samples: usize,
}

impl Figure {
    pub(crate) fn ms(samples: &Samples) -> Self {
        Self::times(samples, 1e3, "ms")
    }

    pub(crate) fn us(samples: &Samples) -> Self {
        Self::times(samples, 1e6, "us")
    }

    fn times(samples: &Samples, scale: f64, unit: &'static str) -> Self {
        let p99 = Some(samples.quantile(0.99) * scale);
        Self { unit, value: samples.median() * scale, p99, samples: samples.len() }
    }

    /// A number that has no spread, or whose median is given.
    pub(crate) fn of(value: f64, unit: &'static str, samples: usize) -> Self {
        Self { unit, value, p99: None, samples }
    }
}

#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Of {
    Value,
    Ratio,
    /// What ours has above the peer's.
    Difference,
}

#[derive(Serialize, Clone, Copy)]
struct Asked {
    of: Of,
    at: &'static str,
    value: f64,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, ours: Figure) -> Self {
        Self {
            part: "",
            name: name.into(),
            ours,
            peer: None,
            ratio: None,
            asked: None,
            met: None,
            note: String::new(),
        }
    }

    pub(crate) fn peer(mut self, name: impl Into<String>, figure: Figure) -> Self {
        if figure.unit == self.ours.unit {
            self.ratio = Some(self.ours.value / figure.value);
        }
        self.peer = Some(Peer { name: name.into(), figure });
        self
    }

    /// A ratio that was taken round by round, and so follows a machine that is busy now and then.
    pub(crate) fn ratio(mut self, ratio: f64) -> Self {
        self.ratio = Some(ratio);
        self
    }

    pub(crate) fn at_most(self, value: f64) -> Self {
        self.ask(Of::Value, "<=", value)
    }

    pub(crate) fn at_least(self, value: f64) -> Self {
        self.ask(Of::Value, ">=", value)
    }

    pub(crate) fn ratio_at_most(self, value: f64) -> Self {
        self.ask(Of::Ratio, "<=", value)
    }

    pub(crate) fn beyond_peer_at_most(self, value: f64) -> Self {
        self.ask(Of::Difference, "<=", value)
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn ask(mut self, of: Of, at: &'static str, value: f64) -> Self {
        let found = match of {
            Of::Value => self.ours.value,
            Of::Ratio => self.ratio.unwrap_or(f64::NAN),
            Of::Difference => self.difference(),
        };
        // What could not be measured meets nothing.
        self.met = Some(if at == "<=" { found <= value } else { found >= value });
        self.asked = Some(Asked { of, at, value });
        self
    }

    fn difference(&self) -> f64 {
        self.peer.as_ref().map_or(f64::NAN, |peer| self.ours.value - peer.figure.value)
    }

    fn cells(&self) -> [String; 8] {
        let asked = self.asked.map_or_else(String::new, |asked| match asked.of {
            Of::Value => format!("{} {} {}", asked.at, number(asked.value), self.ours.unit),
            Of::Ratio => format!("{} {}x", asked.at, asked.value),
            Of::Difference => format!("peer + {} {}", number(asked.value), self.ours.unit),
        });
        [
            self.part.to_owned(),
            self.name.clone(),
            format!("{} {}", number(self.ours.value), self.ours.unit),
            self.ours.p99.map_or_else(String::new, number),
            self.peer.as_ref().map_or_else(String::new, |peer| {
                format!("{} {} ({})", number(peer.figure.value), peer.figure.unit, peer.name)
            }),
            self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}x")),
            asked,
            self.met.map_or("", |met| if met { "met" } else { "MISSED" }).to_owned(),
        ]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    command: String,
    quick: bool,
    machine: Machine,
    /// One-minute load averages before and after: what else the machine did.
    load: [Option<f64>; 2],
    rows: Vec<Row>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
struct Failed {
    part: &'static str,
    why: String,
}

impl Report {
    pub(crate) fn new(effort: Effort) -> Self {
        Self {
            command: "cargo xtask bench".to_owned(),
            quick: effort == Effort::Quick,
            machine: Machine::look(),
            load: [machine::load(), None],
            rows: Vec::new(),
            failed: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, part: &'static str, rows: Vec<Row>) {
        self.rows.extend(rows.into_iter().map(|row| Row { part, ..row }));
    }

    pub(crate) fn fail(&mut self, part: &'static str, why: String) {
        self.failed.push(Failed { part, why });
    }

    pub(crate) fn finish(&mut self) {
        self.load[1] = machine::load();
    }

    pub(crate) fn failure(&self) -> Option<String> {
        let parts: Vec<&str> = self.failed.iter().map(|failed| failed.part).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    pub(crate) fn table(&self) -> String {
        let head =
            ["part", "what", "ours (p50)", "p99", "peer (p50)", "ratio", "asked", ""].map(str::to_owned);
        let rows: Vec<[String; 8]> = std::iter::once(head).chain(self.rows.iter().map(Row::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        let mut text = format!("{}\n", self.machine);
        let load = self.load.map(|load| load.map_or_else(|| "?".to_owned(), |load| format!("{load:.1}")));
        let _ = writeln!(text, "load before and after: {}, {}\n", load[0], load[1]);
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        let notes = self.rows.iter().filter(|row| !row.note.is_empty());
        for (at, row) in notes.enumerate() {
            let _ =
                write!(text, "{}{} / {}: {}", if at == 0 { "\n" } else { "" }, row.part, row.name, row.note);
            text.push('\n');
        }
        for Failed { part, why } in &self.failed {
            let _ = writeln!(text, "\n{part} could not be measured: {why}");
        }
        if self.quick {
            text.push_str("\nA quick run: too few samples to judge by.\n");
        }
        text
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => format!("{:.0}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
