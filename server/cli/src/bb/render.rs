//! What `bb` prints.

use jiff::Timestamp;
use podium_protocol::{CloudEvent, Event, EventPublished, EventPublisher, EventType, TaskInfo, TaskState};
use serde::Serialize;

use crate::style::{Painter, one_line, shortened};
use crate::table::Rows;
use crate::time::ago;

/// Answer of `bb publish`.
#[derive(Debug, Serialize)]
pub(super) struct PublishedData {
    pub(super) event: CloudEvent,
    pub(super) duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task: Option<TaskInfo>,
}

pub(super) fn published(answer: EventPublished) -> PublishedData {
    PublishedData { event: answer.event.into(), duplicate: answer.duplicate, task: answer.task }
}

pub(super) fn published_text(answer: &PublishedData, paint: Painter) -> String {
    let kind = paint.cyan(&one_line(&answer.event.kind));
    let number = answer.event.sequence;
    match (&answer.task, answer.duplicate) {
        (Some(task), true) => {
            format!("task {} was assigned before, and is {}", one_line(&task.id), task.state.as_str())
        }
        (Some(task), false) => format!("{number} {kind} {}", paint.dim(&one_line(&task.queue))),
        (None, true) => format!("{number} {kind} is published already"),
        (None, false) => format!("{number} {kind}"),
    }
}

/// An event in one line.
pub(super) fn event(event: &Event, paint: Painter) -> String {
    let subject = event.subject.as_deref().map(one_line).unwrap_or_default();
    let data = shortened(&one_line(&event.data.to_string()), 120);
    let kind = paint.cyan(&one_line(&event.kind));
    format!("{} {} {kind} {subject} {}", event.seq, paint.dim(&one_line(&event.time)), paint.dim(&data))
}

/// An event in full.
pub(super) fn event_in_full(event: &CloudEvent) -> String {
    serde_json::to_string_pretty(event).unwrap_or_default()
}

pub(super) fn types(types: &[EventType], paint: Painter) -> String {
    let mut table = Rows::new(&["TYPE", "PUBLISHED BY", "EVENTS", "NEWEST", "ABOUT"]).right(2).right(3);
    for kind in types {
        let publisher = match kind.publisher {
            EventPublisher::Daemon => "podium",
            EventPublisher::Person => "a person",
            EventPublisher::Anyone => "anyone",
        };
        table.push([
            kind.kind.clone(),
            publisher.to_owned(),
            kind.count.to_string(),
            kind.last_seq.map(|seq| seq.to_string()).unwrap_or_default(),
            kind.about.clone().unwrap_or_default(),
        ]);
    }
    table.render(paint)
}

pub(super) fn tasks(tasks: &[TaskInfo], all: bool, paint: Painter) -> String {
    if tasks.is_empty() {
        return if all { "no tasks".to_owned() } else { "no dead letters".to_owned() };
    }
    let now = Timestamp::now();
    let mut table = Rows::new(&["ID", "QUEUE", "STATE", "ATTEMPTS", "SINCE", "TASK", "REASON"]).right(3);
    for task in tasks {
        table.push([
            task.id.clone(),
            task.queue.clone(),
            task.state.as_str().to_owned(),
            task.attempts.to_string(),
            ago(&task.changed_at, now),
            shortened(&one_line(&task.assignment.task), 40),
            shortened(&one_line(task.reason.as_deref().unwrap_or_default()), 60),
        ]);
    }
    table.render(paint)
}

pub(super) fn task(task: &TaskInfo, paint: Painter) -> String {
    let mut lines = vec![format!("{} {}", paint.bold(&one_line(&task.id)), task.state.as_str())];
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            lines.push(format!("{} {}", paint.dim(&format!("{name}:")), one_line(value)));
        }
    };
    line("task", Some(&task.assignment.task));
    line("queue", Some(&task.queue));
    line("reason", task.reason.as_deref());
    line("attempts", (task.attempts > 0).then(|| task.attempts.to_string()).as_deref());
    line("session", task.session.as_deref());
    line("assigned", Some(&task.assigned_at));
    line("not before", task.not_before.as_deref());
    if let Some(outcome) = &task.outcome {
        line("worktree", outcome.worktree.as_deref());
        line("branch", outcome.branch.as_deref());
        line("commits", (!outcome.commits.is_empty()).then(|| outcome.commits.join(" ")).as_deref());
    }
    if matches!(task.state, TaskState::Dead | TaskState::Failed) {
        lines.push(format!("assign it again with `bb dlq retry {}`", crate::style::shell_word(&task.id)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::TaskAssignment;

    #[test]
    fn a_dead_letter_shows_why_and_what_to_do() {
        let letter = TaskInfo {
            id: "t-1".into(),
            queue: "tasks".into(),
            state: TaskState::Dead,
            assignment: TaskAssignment { task: "Write\nthe note".into(), ..TaskAssignment::default() },
            event: "e".into(),
            attempts: 3,
            cuts: 0,
            listener: None,
            session: None,
            reason: Some("no repository".into()),
            not_before: None,
            assigned_at: "2026-01-02T03:04:05Z".into(),
            changed_at: "2026-01-02T03:04:05Z".into(),
            outcome: None,
        };
        insta::assert_snapshot!(task(&letter, Painter::new(false)), @r"
        t-1 dead
        task: Write the note
        queue: tasks
        reason: no repository
        attempts: 3
        assigned: 2026-01-02T03:04:05Z
        assign it again with `bb dlq retry t-1`
        ");
        assert!(tasks(&[letter], false, Painter::new(false)).contains("no repository"));
    }
}
