//! Following a session to its end: JSON lines, or the text as it comes.
//!
//! The client re-attaches by itself when the daemon dies, from the last item it saw; what is left to do here
//! is to print each item once, in order, and to say how to go on where even that did not help.

use indicatif::ProgressBar;
use podium_client::Client;
use podium_protocol::{
    ItemKind, SessionCancel, SessionCancelParams, SessionEnd, SessionItem, SessionProgress, SessionStatus,
    SessionUpdate, Usage, WireError,
};
use serde::Serialize;

use super::render;
use crate::context::Context;
use crate::interrupt::Interrupts;
use crate::output::{EXIT_AGAIN, EXIT_SIGINT, Ending, Failure, Output};
use crate::progress;

/// Which session, and from where on.
pub(super) struct Follow {
    pub(super) id: String,
    pub(super) from_seq: u64,
    /// Somebody else runs it: Ctrl-C only leaves.
    pub(super) joined: bool,
}

/// A line of the stream.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Session { id: &'a str },
    Item(&'a SessionItem),
    Progress(&'a SessionProgress),
    End(EndLine<'a>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndLine<'a> {
    session: &'a str,
    status: SessionStatus,
    usage: &'a Usage,
    files_changed: &'a [String],
    artifact: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Command that goes on where the stream stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a WireError>,
}

/// Streams a session until its end.
///
/// # Errors
/// When the session cannot be attached to, or standard output is closed.
pub(super) async fn follow(context: &Context, client: &Client, follow: Follow) -> Ending {
    let mut interrupts = Interrupts::listen()?;
    let joined = follow.joined;
    let mut printer = Printer::new(context.output, follow);
    printer.announce()?;
    let mut stream = match client.attach(&printer.id, printer.last_seq, true).await {
        Ok(stream) => stream,
        Err(error) => return printer.broken(&error),
    };
    let mut cancelling = false;
    loop {
        tokio::select! {
            update = stream.next() => match update {
                Some(Ok(update)) => {
                    if let Some(code) = printer.update(&update)? {
                        return Ok(code);
                    }
                }
                Some(Err(error)) => return printer.broken(&error),
                None => return printer.broken(&WireError::unavailable("the stream ended before the session did")),
            },
            () = interrupts.next() => {
                if cancelling || joined {
                    printer.finish_text();
                    context.output.note(&format!("the session is left: {}", printer.resume_command()));
                    return Err(Failure::Said(EXIT_SIGINT));
                }
                cancelling = true;
                printer.finish_text();
                context.output.note("cancelling; press Ctrl-C again to leave at once");
                spawn_cancel(client.clone(), &printer.id, context.output);
            }
        }
    }
}

/// Cancels beside the stream, whose end line tells what came of it.
fn spawn_cancel(client: Client, id: &str, output: Output) {
    let params = SessionCancelParams { id: id.to_owned() };
    tokio::spawn(async move {
        if let Err(error) = client.call::<SessionCancel>(params).await {
            output.note(&format!("cannot cancel: {}", error.message));
        }
    });
}

/// Prints a session: each item once, whatever arrives twice.
struct Printer {
    output: Output,
    id: String,
    last_seq: u64,
    /// Text was printed and its line is still open.
    open_line: bool,
    bar: Option<ProgressBar>,
}

impl Printer {
    fn new(output: Output, follow: Follow) -> Self {
        Self { output, id: follow.id, last_seq: follow.from_seq, open_line: false, bar: None }
    }

    fn announce(&self) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Session { id: &self.id });
        }
        self.output.note(&self.output.err_painter().dim(&format!("session {}", self.id)));
        Ok(())
    }

    /// Prints an update; gives the exit code with the last one.
    fn update(&mut self, update: &SessionUpdate) -> Result<Option<u8>, Failure> {
        for item in &update.items {
            if item.seq > self.last_seq {
                self.item(item)?;
                self.last_seq = item.seq;
            }
        }
        if let Some(progress) = &update.progress {
            self.progress(progress)?;
        }
        update.end.as_ref().map(|end| self.end(end)).transpose()
    }

    fn item(&mut self, item: &SessionItem) -> Result<(), Failure> {
        self.clear_bar();
        if self.output.is_json() {
            return self.output.line(&Line::Item(item));
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

    fn progress(&mut self, progress: &SessionProgress) -> Result<(), Failure> {
        if self.output.is_json() {
            return self.output.line(&Line::Progress(progress));
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

    fn end(&mut self, end: &SessionEnd) -> Result<u8, Failure> {
        self.clear_bar();
        let goes_on =
            matches!(end.status, SessionStatus::Interrupted | SessionStatus::Parked | SessionStatus::Failed);
        let resume = goes_on.then(|| self.resume_command());
        if self.output.is_json() {
            self.output.line(&Line::End(EndLine {
                session: &self.id,
                status: end.status,
                usage: &end.usage,
                files_changed: &end.files_changed,
                artifact: end.artifact.as_deref(),
                reason: end.reason.as_deref(),
                resume,
                error: None,
            }))?;
        } else {
            self.finish_text();
            self.output.note(&render::end(end, resume.as_deref(), self.output.err_painter()));
        }
        Ok(exit_code(end.status))
    }

    /// The stream broke and the client could not mend it.
    fn broken(&mut self, error: &WireError) -> Ending {
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
            }))?;
        } else {
            self.finish_text();
            let error = error.clone().hint(format!("go on with `{resume}`"));
            self.output.note(crate::output::error_text(&error, self.output.err_painter()).trim_end());
        }
        Err(Failure::Said(EXIT_AGAIN))
    }

    fn resume_command(&self) -> String {
        format!("jelmore sessions resume {} --from-seq {}", crate::style::shell_word(&self.id), self.last_seq)
    }

    fn finish_text(&mut self) {
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
    use super::*;
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
            usage: &Usage { input_tokens: 1, output_tokens: 2, cost_usd: 0.5 },
            files_changed: &["a".into()],
            artifact: None,
            reason: None,
            resume: Some("jelmore sessions resume s --from-seq 3".into()),
            error: None,
        };
        assert_eq!(
            serde_json::to_value(Line::End(end)).unwrap(),
            json!({"type": "end", "session": "s", "status": "interrupted",
                "usage": {"inputTokens": 1, "outputTokens": 2, "costUsd": 0.5}, "filesChanged": ["a"], "artifact": null,
                "resume": "jelmore sessions resume s --from-seq 3"})
        );
    }

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
        let printer = Printer::new(output, Follow { id: "s 1".into(), from_seq: 41, joined: false });
        assert_eq!(printer.resume_command(), "jelmore sessions resume 's 1' --from-seq 41");
    }
}
