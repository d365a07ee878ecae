//! What is printed of a session.

use indicatif::ProgressBar;
use podium_protocol::{
    HealthState, ItemKind, RunInfo, SessionEnd, SessionHealth, SessionItem, SessionProgress, SessionStatus,
    SessionUpdate, Usage, WireError,
};

use super::Follow;
use super::lines::{EndLine, Line, RunEnd};
use crate::jelmore::render;
use crate::jelmore::view::View;
use crate::output::{EXIT_AGAIN, Ending, Failure, Output};
use crate::progress;

/// Prints a session: each item once, whatever arrives twice.
pub(super) struct Printer {
    output: Output,
    pub(super) id: String,
    pub(super) last_seq: u64,
    /// Text was printed and its line is still open.
    open_line: bool,
    bar: Option<ProgressBar>,
    /// On a terminal the answer is laid out.
    view: Option<View>,
}

impl Printer {
    pub(super) fn new(output: Output, follow: &Follow) -> Self {
        let view = View::of(output);
        Self { output, id: follow.id.clone(), last_seq: follow.from_seq, open_line: false, bar: None, view }
    }

    pub(super) fn announce(&self) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Session { id: &self.id });
        }
        self.output.note(&self.output.err_painter().dim(&format!("session {}", self.id)));
        Ok(())
    }

    /// Where a task is worked on.
    pub(super) fn run(&self, run: &RunInfo) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Run(run));
        }
        self.output.note(&self.output.err_painter().dim(&render::run(run)));
        Ok(())
    }

    /// Prints an update. Its end is printed by itself: there may be more to tell then.
    pub(super) fn update(&mut self, update: &SessionUpdate) -> Result<(), Failure> {
        for item in &update.items {
            if item.seq > self.last_seq {
                self.item(item)?;
                self.last_seq = item.seq;
            }
        }
        if let Some(progress) = &update.progress {
            self.progress(progress)?;
        }
        if let Some(health) = &update.health {
            self.health(health)?;
        }
        match &update.context {
            Some(context) if self.output.is_json() => self.output.line(&Line::Context(context)),
            _ => Ok(()),
        }
    }

    fn item(&mut self, item: &SessionItem) -> Result<(), Failure> {
        self.clear_bar();
        if self.output.is_json() {
            return self.output.line(&Line::Item(item));
        }
        if let Some(view) = &mut self.view {
            return view.item(item);
        }
        if item.kind == ItemKind::Text {
            let text = crate::style::printable(&item.text);
            if !text.is_empty() {
                self.open_line = !text.ends_with('\n');
                self.output.text(&text)?;
            }
            return Ok(());
        }
        if let Some(remark) = render::item_remark(item, self.output.err_painter()) {
            self.finish_text();
            self.output.note(&remark);
        }
        Ok(())
    }

    /// People are told of silence only: tools that run are shown anyway.
    fn health(&mut self, health: &SessionHealth) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Health(health));
        }
        if health.state != HealthState::Silent {
            return Ok(());
        }
        let text = render::health(health, crate::jelmore::now());
        match &mut self.view {
            Some(view) => view.doing(&text),
            None => {
                self.finish_text();
                self.output.note(&self.output.err_painter().yellow(&text));
            }
        }
        Ok(())
    }

    fn progress(&mut self, progress: &SessionProgress) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Progress(progress));
        }
        if let Some(view) = &mut self.view {
            view.doing(&render::progress(progress));
            return Ok(());
        }
        // A spinner would write over an answer's open line.
        if self.open_line || !self.output.draws_progress() {
            return Ok(());
        }
        let text = render::progress(progress);
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => self.bar = Some(progress::spinner(&self.output, text)),
        }
        Ok(())
    }

    pub(super) fn end(&mut self, end: &SessionEnd, run: Option<&RunInfo>) -> Result<u8, Failure> {
        self.clear_bar();
        self.finish_text();
        let goes_on =
            matches!(end.status, SessionStatus::Interrupted | SessionStatus::Parked | SessionStatus::Failed);
        let resume = goes_on.then(|| self.resume_command());
        if self.output.is_json() {
            self.output.line(&Line::End(EndLine {
                session: &self.id,
                status: end.status,
                usage: &end.usage,
                files_changed: run.map_or(&end.files_changed, |run| &run.files_changed),
                artifact: end.artifact.as_deref(),
                reason: end.reason.as_deref(),
                resume,
                error: None,
                run: run.map(RunEnd::of),
            }))?;
        } else {
            let again = (end.status == SessionStatus::Cancelled).then(|| self.again_command());
            let way_on = resume.or(again);
            self.output.note(&render::end(end, way_on.as_deref(), self.output.err_painter()));
            if let Some(run) = run {
                self.output.note(&render::run_end(run, self.output.err_painter()));
            }
        }
        let failed = run.is_some_and(|run| run.problem.is_some());
        Ok(if failed { exit_code(end.status).max(1) } else { exit_code(end.status) })
    }

    /// The stream broke and the client could not mend it.
    pub(super) fn broken(&mut self, error: &WireError) -> Ending {
        self.clear_bar();
        let resume = self.resume_command();
        if self.output.is_json() {
            self.output.line(&Line::End(EndLine {
                session: &self.id,
                status: SessionStatus::Interrupted,
                usage: &Usage::default(),
                files_changed: &[],
                artifact: None,
                reason: Some(&error.message),
                resume: Some(resume),
                error: Some(error),
                run: None,
            }))?;
        } else {
            self.finish_text();
            let error = error.clone().hint(format!("go on with `{resume}`"));
            self.output.note(crate::output::error_text(&error, self.output.err_painter()).trim_end());
        }
        Err(Failure::Said(EXIT_AGAIN))
    }

    pub(super) fn resume_command(&self) -> String {
        format!("jelmore sessions resume {} --from-seq {}", crate::style::shell_word(&self.id), self.last_seq)
    }

    fn again_command(&self) -> String {
        format!("jelmore sessions resume {} --again", crate::style::shell_word(&self.id))
    }

    pub(super) fn finish_text(&mut self) {
        if let Some(view) = &mut self.view {
            view.finish();
        }
        if self.open_line {
            self.open_line = false;
            // The line's end only; who closed the output loses nothing by it.
            let _ = self.output.text("\n");
        }
    }

    fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Exit code of a session's end.
const fn exit_code(status: SessionStatus) -> u8 {
    match status {
        SessionStatus::Completed => 0,
        SessionStatus::Failed | SessionStatus::Cancelled => 1,
        SessionStatus::InProgress | SessionStatus::Interrupted | SessionStatus::Parked => EXIT_AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Run;
    use super::*;

    #[test]
    fn exit_codes_tell_done_failed_and_try_again() {
        let codes = [
            SessionStatus::Completed,
            SessionStatus::Failed,
            SessionStatus::Cancelled,
            SessionStatus::Parked,
            SessionStatus::Interrupted,
        ]
        .map(exit_code);
        assert_eq!(codes, [0, 1, 1, 5, 5]);
    }

    #[test]
    fn the_way_on_starts_behind_the_last_item_printed() {
        let output = Output::from_process(false);
        let printer =
            Printer::new(output, &Follow { id: "s 1".into(), from_seq: 41, joined: false, run: Run::None });
        assert_eq!(printer.resume_command(), "jelmore sessions resume 's 1' --from-seq 41");
    }
}
