//! The lines of `--json`.

use podium_protocol::{
    ContextUse, RunInfo, SessionHealth, SessionItem, SessionProgress, SessionStatus, Usage, WireError,
};
use serde::Serialize;

/// A line of the stream.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Session { id: &'a str },
    Run(&'a RunInfo),
    Item(&'a SessionItem),
    Progress(&'a SessionProgress),
    Health(&'a SessionHealth),
    Context(&'a ContextUse),
    End(EndLine<'a>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndLine<'a> {
    pub(super) session: &'a str,
    pub(super) status: SessionStatus,
    pub(super) usage: &'a Usage,
    pub(super) files_changed: &'a [String],
    pub(super) artifact: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// Command that goes on where the stream stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resume: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a WireError>,
    /// What came of the task's work.
    #[serde(flatten)]
    pub(super) run: Option<RunEnd<'a>>,
}

/// What the end of a run tells beyond that of its session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunEnd<'a> {
    pub(super) task: &'a str,
    pub(super) worktree: &'a str,
    pub(super) branch: Option<&'a str>,
    pub(super) commits: &'a [String],
    pub(super) uncommitted: &'a [String],
    pub(super) released: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<&'a str>,
}

impl<'a> RunEnd<'a> {
    pub(super) fn of(run: &'a RunInfo) -> Self {
        Self {
            task: &run.task,
            worktree: &run.worktree,
            branch: run.branch.as_deref(),
            commits: &run.commits,
            uncommitted: &run.uncommitted,
            released: run.released,
            problem: run.problem.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::ItemKind;
    use serde_json::json;

    #[test]
    fn lines_have_the_documented_form() {
        let item = SessionItem {
            seq: 7,
            kind: ItemKind::Text,
            text: "hi".into(),
            is_final: true,
            data: None,
            time: "2026-01-02T03:04:05Z".into(),
        };
        assert_eq!(
            serde_json::to_value(Line::Item(&item)).unwrap(),
            json!({"type": "item", "seq": 7, "kind": "text", "text": "hi", "final": true, "time": "2026-01-02T03:04:05Z"})
        );
        assert_eq!(
            serde_json::to_value(Line::Session { id: "s" }).unwrap(),
            json!({"type": "session", "id": "s"})
        );
        let progress = SessionProgress { phase: "reading_prompt".into(), done: 1, total: 2 };
        assert_eq!(
            serde_json::to_value(Line::Progress(&progress)).unwrap(),
            json!({"type": "progress", "phase": "reading_prompt", "done": 1, "total": 2})
        );
    }

    #[test]
    fn the_end_line_carries_usage_and_the_way_on() {
        let end = EndLine {
            session: "s",
            status: SessionStatus::Interrupted,
            usage: &Usage { input_tokens: 1, output_tokens: 2, cost_usd: Some(0.5) },
            files_changed: &["a".into()],
            artifact: None,
            reason: None,
            resume: Some("jelmore sessions resume s --from-seq 3".into()),
            error: None,
            run: None,
        };
        assert_eq!(
            serde_json::to_value(Line::End(end)).unwrap(),
            json!({"type": "end", "session": "s", "status": "interrupted",
                "usage": {"inputTokens": 1, "outputTokens": 2, "costUsd": 0.5}, "filesChanged": ["a"], "artifact": null,
                "resume": "jelmore sessions resume s --from-seq 3"})
        );
    }
}
