//! What `jelmore` says to people.

mod inbox;
mod run;

use jiff::Timestamp;
use podium_protocol::{
    Confinement, HealthState, ItemKind, ProviderInfo, SessionEnd, SessionHealth, SessionInfo, SessionItem,
    SessionProgress, SessionShown, SessionStatus, Usage,
};

use crate::style::{Painter, count, one_line, printable, shortened};
use crate::table::{Rows, repo_name, several_repos};
use crate::time::ago;

pub(super) use inbox::{grants, inbox, question};
pub(super) use run::{hits, run, run_end};

/// Longest remark about an item that is not text, in characters.
const REMARK_WIDTH: usize = 160;

pub(super) fn providers(providers: &[ProviderInfo], paint: Painter) -> String {
    let mut rows = Rows::new(&["PROVIDER", "USABLE", "MODELS", "WHY"]);
    for p in providers {
        let usable = if p.usable { "yes" } else { "no" };
        rows.push([p.name.clone(), usable.into(), p.models.join(", "), p.why.clone()]);
    }
    rows.render(paint)
}

pub(super) fn sessions(sessions: &[SessionInfo], now: Timestamp, paint: Painter) -> String {
    if sessions.is_empty() {
        return format!("no sessions\n{} jelmore start --prompt TEXT starts one", paint.cyan("hint:"));
    }
    let mut rows = Rows::new(&["ID", "STATUS", "AGE", "PROVIDER", "REPO", "WORKTREE", "AGENT", "TITLE"]);
    let several = several_repos(sessions.iter().map(|s| s.repo.as_ref()));
    for s in sessions {
        rows.push([
            s.id.clone(),
            state(s, now),
            ago(&s.updated_at, now),
            s.provider.clone(),
            s.repo.as_ref().filter(|_| several).map(repo_name).unwrap_or_default(),
            s.worktree.clone().unwrap_or_default(),
            s.agent_id.clone().unwrap_or_default(),
            shortened(&one_line(&s.title), 60),
        ]);
    }
    rows.render(paint)
}

pub(super) fn transcript(shown: &SessionShown, now: Timestamp, paint: Painter) -> String {
    let s = &shown.session;
    let model = s.model.as_ref().map_or_else(String::new, |m| format!(" ({m})"));
    let place = s.worktree.as_ref().map_or_else(String::new, |w| format!(" in {w}"));
    let head =
        format!("{} {}{model}{place}, {}, {}", s.id, s.provider, state(s, now), ago(&s.updated_at, now));
    let mut text = format!("{}\n{}\n", paint.dim(&one_line(&head)), paint.dim(&facts(s)));
    let mut open_line = false;
    for item in &shown.items {
        if item.kind == ItemKind::Text {
            let piece = printable(&item.text);
            open_line = if piece.is_empty() { open_line } else { !piece.ends_with('\n') };
            text += &piece;
        } else if let Some(remark) = item_remark(item, paint) {
            text += if open_line { "\n" } else { "" };
            text += &remark;
            text.push('\n');
            open_line = false;
        }
    }
    if let Some(reason) = &s.reason {
        text += &format!(
            "{}{} {}\n",
            if open_line { "\n" } else { "" },
            paint.yellow("note:"),
            printable(reason)
        );
    }
    text
}

/// A line about an item that is not the answer itself; none for what a person need not see.
pub(super) fn item_remark(item: &SessionItem, paint: Painter) -> Option<String> {
    let short = || shortened(one_line(&item.text).trim(), REMARK_WIDTH);
    match item.kind {
        ItemKind::Checkpoint if !item.text.is_empty() => Some(paint.yellow(&format!("⟲ {}", short()))),
        ItemKind::Text | ItemKind::Checkpoint | ItemKind::Usage => None,
        ItemKind::Prompt => {
            let quoted: Vec<String> = printable(&item.text).lines().map(|l| format!("> {l}")).collect();
            Some(paint.bold(&quoted.join("\n")))
        }
        ItemKind::Thinking => Some(paint.dim(&format!("(thinking) {}", short()))),
        ItemKind::ToolCall => Some(paint.cyan(&format!("→ {}", short()))),
        ItemKind::ToolResult => Some(paint.dim(&format!("← {}", short()))),
        ItemKind::Permission => Some(paint.yellow(&format!("? {}", short()))),
        ItemKind::Error => Some(format!("{} {}", paint.red("error:"), short())),
    }
}

pub(super) fn progress(progress: &SessionProgress) -> String {
    let phase = one_line(&progress.phase).replace('_', " ");
    match (progress.done, progress.total) {
        (_, 0) => phase,
        (done, total) => format!("{phase} {}%", done.saturating_mul(100) / total),
    }
}

pub(super) fn end(end: &SessionEnd, resume: Option<&str>, paint: Painter) -> String {
    let word = status(end.status);
    let word = match end.status {
        SessionStatus::Completed => paint.green(&word),
        SessionStatus::Failed => paint.red(&word),
        _ => paint.yellow(&word),
    };
    let mut text = format!("{word} {}", paint.dim(&format!("({})", usage(&end.usage))));
    if let Some(reason) = &end.reason {
        text += &format!(": {}", printable(reason));
    }
    for path in &end.files_changed {
        text += &format!("\n  changed {}", one_line(path));
    }
    if let Some(artifact) = &end.artifact {
        text += &paint.dim(&format!("\n  artifact {}", one_line(artifact)));
    }
    if let Some(resume) = resume {
        text += &format!("\n{} go on with `{resume}`", paint.cyan("hint:"));
    }
    text
}

fn status(status: SessionStatus) -> String {
    status.as_str().replace('_', " ")
}

/// The status, and of a turn that runs what it is at.
fn state(session: &SessionInfo, now: Timestamp) -> String {
    match &session.health {
        Some(running) if running.state != HealthState::Working => {
            format!("{}: {}", status(session.status), health(running, now))
        }
        _ => status(session.status),
    }
}

/// `run_command for 12s`, `silent for 2m`.
pub(super) fn health(health: &SessionHealth, now: Timestamp) -> String {
    let what = health.tool.as_deref().map_or_else(|| health.state.as_str().to_owned(), one_line);
    let since = ago(&health.since, now);
    match health.revived {
        0 => format!("{what} for {since}"),
        times => format!("{what} for {since}, revived {}", count(times.into(), "time")),
    }
}

/// What was used, how full the window is, what confines the programs.
fn facts(session: &SessionInfo) -> String {
    let mut facts = vec![usage(&session.usage)];
    facts.extend(session.context.as_ref().map(|context| match context.window {
        Some(window) => {
            format!("context {} of {window} ({}%)", context.used, 100 * context.used / window.max(1))
        }
        None => format!("context {}", context.used),
    }));
    facts.extend(session.confinement.map(|confinement| match confinement {
        Confinement::None => "programs UNSANDBOXED".to_owned(),
        confinement => format!("programs confined by {}", confinement.as_str()),
    }));
    facts.join(", ")
}

/// None for what costs nothing.
pub(super) fn cost(usage: &Usage) -> Option<String> {
    match usage.cost_usd {
        None => Some("cost unknown".to_owned()),
        Some(cost) if cost > 0.0 => Some(format!("${cost:.4}")),
        Some(_) => None,
    }
}

fn usage(usage: &Usage) -> String {
    let tokens = format!("{} in, {} out", count(usage.input_tokens, "token"), usage.output_tokens);
    [Some(tokens), cost(usage)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::{CheckpointRef, InboxItem};

    fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().unwrap()
    }

    fn session() -> SessionInfo {
        SessionInfo {
            id: "0197-s1".into(),
            provider: "local".into(),
            model: Some("smollm2-135m".into()),
            status: SessionStatus::Interrupted,
            reason: Some("the daemon died".into()),
            title: "Write a story".into(),
            agent_id: Some("claude-1".into()),
            worktree: Some("feat-x".into()),
            worktree_path: Some("/w/feat-x".into()),
            repo: None,
            created_at: "2026-01-02T11:00:00Z".into(),
            updated_at: "2026-01-02T11:58:00Z".into(),
            checkpoint: Some(CheckpointRef { id: "c1".into(), seq: 3 }),
            last_seq: 5,
            usage: Usage { input_tokens: 12, output_tokens: 34, cost_usd: Some(0.0) },
            context: None,
            health: None,
            confinement: None,
            artifact: None,
        }
    }

    fn item(seq: u64, kind: ItemKind, text: &str) -> SessionItem {
        SessionItem {
            seq,
            kind,
            text: text.into(),
            is_final: false,
            data: None,
            time: "2026-01-02T11:58:00Z".into(),
        }
    }

    #[test]
    fn sessions_are_a_table() {
        insta::assert_snapshot!(sessions(&[session()], now(), Painter::new(false)));
    }

    #[test]
    fn what_a_turn_is_at_stands_beside_its_status_and_the_rest_below() {
        let health = |state, tool: Option<&str>, revived| SessionHealth {
            state,
            since: "2026-01-02T11:58:00Z".into(),
            tool: tool.map(str::to_owned),
            revived,
        };
        let running = |health| SessionInfo {
            status: SessionStatus::InProgress,
            reason: None,
            health: Some(health),
            context: Some(podium_protocol::ContextUse { used: 50_000, window: Some(200_000) }),
            confinement: Some(Confinement::Bubblewrap),
            usage: Usage { cost_usd: None, ..session().usage },
            ..session()
        };
        let tool = running(health(HealthState::Tool, Some("run_command"), 0));
        let silent = running(health(HealthState::Silent, None, 2));
        let shown = SessionShown { session: silent.clone(), items: Vec::new(), more: false };
        let text = [
            sessions(&[tool, silent], now(), Painter::new(false)),
            transcript(&shown, now(), Painter::new(false)),
        ];
        insta::assert_snapshot!(text.join("\n\n"));
    }

    #[test]
    fn sessions_of_several_repositories_say_which() {
        let of = |root: &str| {
            let repo = podium_protocol::RepoRef { id: root.into(), root: root.into() };
            SessionInfo { repo: Some(repo), ..session() }
        };
        let same = sessions(&[of("/a/one"), of("/a/one")], now(), Painter::new(false));
        assert!(!same.contains("REPO"), "{same}");
        let both = sessions(&[of("/a/one"), of("/b/two")], now(), Painter::new(false));
        assert!(["REPO", "one", "two"].iter().all(|word| both.contains(word)), "{both}");
    }

    #[test]
    fn a_transcript_reads_like_a_conversation() {
        let items = vec![
            item(1, ItemKind::Prompt, "Write a story\nabout the sea"),
            item(2, ItemKind::Text, "Once "),
            item(3, ItemKind::Checkpoint, ""),
            item(4, ItemKind::Text, "upon a\u{1b}[2J time"),
            item(5, ItemKind::ToolCall, "read src/main.rs"),
            item(6, ItemKind::Text, "there was"),
        ];
        let shown = SessionShown { session: session(), items, more: false };
        insta::assert_snapshot!(transcript(&shown, now(), Painter::new(false)));
    }

    #[test]
    fn an_end_says_what_it_cost_and_how_to_go_on() {
        let ended = SessionEnd {
            status: SessionStatus::Failed,
            reason: Some("rate limit".into()),
            usage: Usage { input_tokens: 1, output_tokens: 20, cost_usd: Some(0.0123) },
            files_changed: vec!["src/a.rs".into()],
            artifact: Some("a-1".into()),
        };
        insta::assert_snapshot!(end(
            &ended,
            Some("jelmore sessions resume s --from-seq 3"),
            Painter::new(false)
        ));
    }

    #[test]
    fn progress_has_percent_where_the_size_is_known() {
        let at = |done, total| progress(&SessionProgress { phase: "loading_model".into(), done, total });
        assert_eq!((at(1, 3), at(1, 0)), ("loading model 33%".into(), "loading model".into()));
    }

    #[test]
    fn providers_say_why_they_are_not_usable() {
        let rows = [
            ProviderInfo {
                name: "local".into(),
                usable: true,
                why: "the model is on this machine".into(),
                models: vec!["smollm2-135m".into()],
            },
            ProviderInfo {
                name: "anthropic".into(),
                usable: false,
                why: "set ANTHROPIC_API_KEY".into(),
                models: vec![],
            },
        ];
        insta::assert_snapshot!(providers(&rows, Painter::new(false)));
    }

    #[test]
    fn open_questions_come_with_the_way_to_answer() {
        let question = InboxItem {
            id: "q1".into(),
            agent_id: "claude-1".into(),
            question: "May I push?".into(),
            asked_at: "2026-01-02T11:58:00Z".into(),
            ..InboxItem::default()
        };
        insta::assert_snapshot!(inbox(&[question], now(), Painter::new(false)));
    }

    #[test]
    fn a_question_shows_what_would_be_done() {
        use podium_protocol::InboxScope;
        let question = InboxItem {
            id: "q1".into(),
            agent_id: "claude-1".into(),
            question: "edit src/a.rs".into(),
            detail: Some("--- a/src/a.rs\n+++ b/src/a.rs\n-old\n+new\x1b[2J\n".into()),
            asked_at: "2026-01-02T11:58:00Z".into(),
            options: vec![InboxScope::Once, InboxScope::Session],
            ..InboxItem::default()
        };
        insta::assert_snapshot!(question_text(&question));
    }

    fn question_text(item: &InboxItem) -> String {
        question(item, now(), Painter::new(false))
    }
}
