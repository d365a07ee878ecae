//! What is shown of a listener's tasks: lines, and on a terminal a spinner for each that is at work.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar};
use podium_protocol::{Event, count};
use serde::Serialize;
use serde_json::Value;

use crate::output::{Failure, Output};
use crate::progress;
use crate::style::{Painter, one_line, shortened};

/// A line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Listening {
        queue: &'a str,
        listener: &'a str,
        open: u64,
    },
    Task(TaskLine<'a>),
    #[serde(rename_all = "camelCase")]
    End {
        status: &'a str,
        done: u32,
        failed: u32,
        dead: u32,
        last_seq: u64,
    },
}

/// A change of a task: its state, and the data of the event that tells of it.
#[derive(Debug, Serialize)]
struct TaskLine<'a> {
    state: &'static str,
    seq: u64,
    #[serde(flatten)]
    data: &'a Value,
}

pub(super) struct View {
    output: Output,
    listener: String,
    bars: MultiProgress,
    /// By id.
    at_work: BTreeMap<String, ProgressBar>,
    last_seq: u64,
    done: u32,
    failed: u32,
    dead: u32,
}

impl View {
    pub(super) fn new(output: Output, listener: &str) -> Self {
        Self {
            output,
            listener: listener.to_owned(),
            bars: MultiProgress::new(),
            at_work: BTreeMap::new(),
            last_seq: 0,
            done: 0,
            failed: 0,
            dead: 0,
        }
    }

    pub(super) fn at_work(&self) -> usize {
        self.at_work.len()
    }

    pub(super) fn listening(&self, queue: &str, open: u64) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Listening { queue, listener: &self.listener, open });
        }
        let text = format!("listening to {}: {}", one_line(queue), count(open, "open task"));
        self.output.note(&self.output.err_painter().dim(&text));
        Ok(())
    }

    /// Prints what happened to a task of this listener, once.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        let of_this = event.data["listener"].as_str() == Some(self.listener.as_str());
        let (Some(id), true) = (event.data["id"].as_str(), of_this && event.seq > self.last_seq) else {
            return Ok(());
        };
        self.last_seq = event.seq;
        let state = self.note(&event.kind, id, &event.data);
        if self.output.is_json() {
            return self.output.line(&Line::Task(TaskLine { state, seq: event.seq, data: &event.data }));
        }
        let text = line(state, &event.data, self.output.painter());
        // Above the spinners, not through them.
        self.bars.suspend(|| self.output.text(&format!("{text}\n")))
    }

    /// Follows who is at work, and counts; gives the state that the event tells of.
    fn note(&mut self, kind: &str, id: &str, data: &Value) -> &'static str {
        if kind == "task.accepted" {
            let text = format!("{} {}", one_line(id), shortened(&text_of(data, "task"), 60));
            let bar = self.bars.add(progress::spinner(&self.output, text));
            self.at_work.insert(id.to_owned(), bar);
            return "running";
        }
        if let Some(bar) = self.at_work.remove(id) {
            bar.finish_and_clear();
        }
        match (kind, data["dead"] == true) {
            ("task.completed", _) => {
                self.done += 1;
                "done"
            }
            ("task.failed", true) => {
                self.dead += 1;
                "dead"
            }
            ("task.failed", false) => {
                self.failed += 1;
                "failed"
            }
            _ => "assigned",
        }
    }

    /// The last line; gives the exit code.
    pub(super) fn end(&mut self, status: &str, last_seq: u64) -> Result<u8, Failure> {
        for bar in std::mem::take(&mut self.at_work).into_values() {
            bar.finish_and_clear();
        }
        let (done, failed, dead) = (self.done, self.failed, self.dead);
        if self.output.is_json() {
            self.output.line(&Line::End { status, done, failed, dead, last_seq })?;
        } else {
            self.output.note(&format!("{} done, {} failed", count(done.into(), "task"), failed + dead));
        }
        Ok(u8::from(failed + dead > 0))
    }
}

fn line(state: &str, data: &Value, paint: Painter) -> String {
    let id = paint.bold(&text_of(data, "id"));
    let reason = text_of(data, "reason");
    match state {
        "running" if data["goesOn"] == true => format!("{} {id}: goes on", paint.cyan("started")),
        "running" => format!("{} {id}: {}", paint.cyan("started"), text_of(data, "task")),
        "done" => {
            let commits = data["commits"].as_array().map_or(0, Vec::len) as u64;
            let place = text_of(data, "worktree");
            format!("{}    {id}: {} in {place}", paint.green("done"), count(commits, "commit"))
        }
        "dead" => format!("{}    {id}: {reason}; `bb dlq show {}`", paint.red("dead"), text_of(data, "id")),
        "failed" => format!("{}  {id}: {reason}", paint.red("failed")),
        _ => format!("{}   {id}: tried again later: {reason}", paint.yellow("again")),
    }
}

fn text_of(data: &Value, name: &str) -> String {
    one_line(data[name].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(seq: u64, kind: &str, listener: &str, mut data: Value) -> Event {
        (data["listener"], data["id"]) = (json!(listener), json!("t-1"));
        Event {
            specversion: "1.0".into(),
            seq,
            id: seq.to_string(),
            source: "podium://box".into(),
            kind: kind.into(),
            time: String::new(),
            subject: None,
            data_version: 1,
            data,
            correlation_id: None,
            causation_id: None,
        }
    }

    #[test]
    fn only_tasks_of_this_listener_count_and_each_change_once() {
        let mut view = View::new(Output::from_process(true), "me");
        view.event(&event(1, "task.accepted", "other", json!({}))).unwrap();
        assert_eq!(view.at_work(), 0);
        view.event(&event(2, "task.accepted", "me", json!({"task": "x"}))).unwrap();
        assert_eq!(view.at_work(), 1);
        for seq in [3, 3] {
            view.event(&event(seq, "task.failed", "me", json!({"dead": true}))).unwrap();
        }
        assert_eq!((view.at_work(), view.dead, view.end("empty", 3).unwrap()), (0, 1, 1));
    }

    #[test]
    fn a_line_says_what_became_of_the_task() {
        let paint = Painter::new(false);
        let data = json!({"id": "t-1", "commits": ["a"], "worktree": "feat-x", "reason": "no\nkey"});
        assert_eq!(line("done", &data, paint), "done    t-1: 1 commit in feat-x");
        assert_eq!(line("dead", &data, paint), "dead    t-1: no key; `bb dlq show t-1`");
    }
}
