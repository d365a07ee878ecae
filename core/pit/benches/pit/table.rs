//! What was measured.

use std::fmt::Write as _;

use serde_json::{Value, json};

#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) floor: Option<f64>,
    /// The most that is asked for.
    pub(crate) most: f64,
    pub(crate) most_ratio: Option<f64>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.ours / floor)
    }

    fn met(&self) -> bool {
        let ratio = self.ratio().zip(self.most_ratio).is_none_or(|(ratio, most)| ratio <= most);
        self.ours <= self.most && ratio
    }
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{:<44} {:>10} {:>10} {:>7}  asked\n", "what", "ours (p50)", "floor", "ratio");
        for row in &self.0 {
            let floor = row.floor.map_or_else(String::new, |floor| format!("{floor:.3}"));
            let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
            let asked = row.most_ratio.map_or_else(String::new, |most| format!(", <= {most}x"));
            let met = if row.met() { "met" } else { "MISSED" };
            let _ = writeln!(
                text,
                "{:<44} {:>7.3} {:<2} {floor:>10} {ratio:>7}  <= {} {}{asked}  {met}",
                row.what, row.ours, row.unit, row.most, row.unit
            );
        }
        text
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        let row = |row: &Row| {
            json!({
                "part": "dag", "name": row.what, "unit": row.unit, "ours": row.ours, "floor": row.floor,
                "ratio": row.ratio(), "atMost": row.most, "ratioAtMost": row.most_ratio, "met": row.met(),
            })
        };
        self.0.iter().map(row).collect()
    }
}
