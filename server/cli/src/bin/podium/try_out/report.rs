//! What `podium try` found out.

use podium_cli::style::Painter;
use podium_cli::table::Rows;
use podium_cli::time::duration;
use podium_protocol::{ItemKind, SessionItem};
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TryReport {
    pub(super) steps: Vec<StepReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<SessionReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact: Option<ArtifactReport>,
    /// Process of each daemon, in the order of their starts.
    pub(super) daemon_pids: Vec<u32>,
    pub(super) total_ms: u64,
    /// The home, where it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) home: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct StepReport {
    pub(super) name: &'static str,
    pub(super) ok: bool,
    pub(super) ms: u64,
    pub(super) detail: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionReport {
    pub(super) id: String,
    pub(super) text: String,
    /// Items as the store has them.
    pub(super) items: Vec<SessionItem>,
    /// Items as they were shown, before and after the kill.
    pub(super) shown: Vec<SessionItem>,
    pub(super) killed_at_seq: u64,
    /// Newest item the second daemon found stored.
    pub(super) resumed_from_seq: u64,
    pub(super) gaps: u64,
    pub(super) repeats: u64,
    /// Whether a run that nobody disturbed gave the same text.
    pub(super) same_as_undisturbed: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct ArtifactReport {
    pub(super) id: String,
    pub(super) found: bool,
}

/// The answer in a row of items.
pub(super) fn text_of(items: &[SessionItem]) -> String {
    items.iter().filter(|i| i.kind == ItemKind::Text).map(|i| i.text.as_str()).collect()
}

/// Items that are missing between the first and the last, and items that came twice or out of order.
pub(super) fn gaps_and_repeats(items: &[SessionItem]) -> (u64, u64) {
    let (mut gaps, mut repeats) = (0, 0);
    let Some(first) = items.first() else { return (0, 0) };
    let mut next = first.seq;
    for item in items {
        if item.seq < next {
            repeats += 1;
        } else {
            gaps += item.seq - next;
            next = item.seq + 1;
        }
    }
    (gaps, repeats)
}

pub(super) fn render(report: &TryReport, paint: Painter) -> String {
    let mut rows = Rows::new(&["STEP", "WHAT HAPPENED", "MS"]).right(2);
    for step in &report.steps {
        rows.push([step.name.to_owned(), step.detail.clone(), step.ms.to_string()]);
    }
    let mut text = format!("\n{}\n\nall of it in {}\n", rows.render(paint), duration(report.total_ms));
    if let Some(home) = &report.home {
        text += &format!("kept: PODIUM_HOME={}\n", podium_cli::style::shell_word(home));
    }
    text += "\nto connect your editor:\n";
    for editor in ["vscode", "neovim", "helix"] {
        text += &format!("  {}\n", paint.cyan(&format!("podium setup {editor} --write")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(seqs: &[u64]) -> Vec<SessionItem> {
        let item = |seq: &u64| SessionItem {
            seq: *seq,
            kind: if *seq == 1 { ItemKind::Prompt } else { ItemKind::Text },
            text: format!("{seq} "),
            is_final: false,
            data: None,
            time: String::new(),
        };
        seqs.iter().map(item).collect()
    }

    #[test]
    fn gaps_and_repeats_are_counted() {
        for (seqs, counted) in [
            (&[1, 2, 3, 4][..], (0, 0)),
            (&[5, 6], (0, 0)),
            (&[1, 2, 5], (2, 0)),
            (&[1, 2, 2, 3], (0, 1)),
            (&[1, 3, 2], (1, 1)),
            (&[], (0, 0)),
        ] {
            assert_eq!(gaps_and_repeats(&items(seqs)), counted, "{seqs:?}");
        }
        assert_eq!(text_of(&items(&[1, 2, 3])), "2 3 ");
    }

    #[test]
    fn the_summary_ends_with_what_to_type_next() {
        let step = |name, ms, detail: &str| StepReport { name, ok: true, ms, detail: detail.into() };
        let report = TryReport {
            steps: vec![
                step("start daemon", 41, "pid 4711"),
                step("claim", 3, "claude-1 holds feat-hello, token 1"),
            ],
            total_ms: 12_345,
            home: Some("/srv/podium-try-x/home".into()),
            ..TryReport::default()
        };
        insta::assert_snapshot!(render(&report, Painter::new(false)));
    }

    #[test]
    fn the_object_has_the_documented_fields() {
        let report = TryReport {
            session: Some(SessionReport {
                id: "s".into(),
                text: "2 ".into(),
                items: items(&[1, 2]),
                shown: items(&[1, 2]),
                killed_at_seq: 1,
                resumed_from_seq: 1,
                gaps: 0,
                repeats: 0,
                same_as_undisturbed: Some(true),
            }),
            artifact: Some(ArtifactReport { id: "a".into(), found: true }),
            ..TryReport::default()
        };
        let value = serde_json::to_value(report).unwrap();
        for field in ["steps", "session", "artifact", "daemonPids", "totalMs"] {
            assert!(value.get(field).is_some(), "{field}");
        }
        for field in ["id", "text", "items", "shown", "killedAtSeq", "resumedFromSeq", "gaps", "repeats"] {
            assert!(value["session"].get(field).is_some(), "{field}");
        }
    }
}
