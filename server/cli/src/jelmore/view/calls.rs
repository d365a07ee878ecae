//! Calls of tools, each folded into one line.

use jiff::Timestamp;
use podium_protocol::SessionItem;
use serde_json::Value;

use crate::style::{Painter, one_line, shortened};

/// Longest line about a call, in characters.
const LINE: usize = 100;
/// What tells most about a call, of its input.
const TELLING: &[&str] = &["command", "path", "pattern", "query", "message", "url", "file_path"];

/// Calls whose results are awaited.
#[derive(Default)]
pub(super) struct Calls {
    open: Vec<Open>,
}

struct Open {
    id: String,
    text: String,
    since: String,
}

impl Calls {
    /// A call; gives what is done now.
    pub(super) fn begin(&mut self, item: &SessionItem) -> String {
        let data = item.data.as_ref().unwrap_or(&Value::Null);
        let name = data["name"].as_str().unwrap_or(&item.text);
        let input = &data["input"];
        let about = TELLING.iter().find_map(|key| input[*key].as_str()).unwrap_or_default();
        let text = shortened(one_line(&format!("{name} {about}")).trim(), LINE);
        let id = data["id"].as_str().unwrap_or_default().to_owned();
        self.open.push(Open { id, text: text.clone(), since: item.time.clone() });
        text
    }

    /// Its result, as a line.
    pub(super) fn end(&mut self, item: &SessionItem, paint: Painter) -> String {
        let data = item.data.as_ref().unwrap_or(&Value::Null);
        let id = data["id"].as_str().unwrap_or_default();
        let failed = data["isError"] == true || data["failed"] == true;
        let at = self.open.iter().position(|open| open.id == id);
        let Some(open) = at.map(|at| self.open.remove(at)) else {
            return paint.dim(&format!("← {}", shortened(one_line(&item.text).trim(), LINE)));
        };
        let took = duration(&open.since, &item.time);
        if !failed {
            return format!("{} {} {}", paint.green("✓"), open.text, paint.dim(&took));
        }
        let why = item.text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("failed");
        let why = shortened(&one_line(why), LINE);
        format!("{} {} {}\n  {}", paint.red("✗"), open.text, paint.dim(&took), paint.dim(&why))
    }

    /// Calls that got no result.
    pub(super) fn left(&mut self, paint: Painter) -> Vec<String> {
        self.open.drain(..).map(|open| format!("{} {}", paint.yellow("…"), open.text)).collect()
    }
}

/// Time between two items.
pub(super) fn duration(from: &str, to: &str) -> String {
    let at = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    let Some((from, to)) = at(from).zip(at(to)) else { return String::new() };
    match to.saturating_sub(from).max(0) {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::ItemKind;
    use serde_json::json;

    fn item(kind: ItemKind, text: &str, data: Value, time: &str) -> SessionItem {
        let time = format!("2026-01-02T03:04:{time}Z");
        SessionItem { seq: 1, kind, text: text.into(), is_final: false, data: Some(data), time }
    }

    #[test]
    fn a_call_is_one_line_with_how_it_went_and_how_long_it_took() {
        let (mut calls, plain) = (Calls::default(), Painter::new(false));
        let input = json!({ "path": "src/a.rs", "content": "x\ny" });
        let call = json!({ "id": "t1", "name": "write_file", "input": input });
        assert_eq!(calls.begin(&item(ItemKind::ToolCall, "", call, "05.000")), "write_file src/a.rs");
        let run = json!({ "id": "t2", "name": "run_command", "input": { "command": "cargo\x1b[2J test" } });
        calls.begin(&item(ItemKind::ToolCall, "", run, "05.000"));
        let failed = json!({ "id": "t2", "isError": true });
        let line = calls.end(&item(ItemKind::ToolResult, "\nexit 1\nmore", failed, "06.250"), plain);
        assert_eq!(line, "✗ run_command cargo[2J test 1.2 s\n  exit 1");
        let done = json!({ "id": "t1", "isError": false });
        let line = calls.end(&item(ItemKind::ToolResult, "ok", done, "05.040"), plain);
        assert_eq!(line, "✓ write_file src/a.rs 40 ms");
        assert!(calls.left(plain).is_empty());
    }
}
