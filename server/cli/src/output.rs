//! What a command prints: the JSON envelope, JSON lines, or text for people, and the exit code that follows.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use podium_protocol::WireError;
use serde::Serialize;
use serde_json::{Value, json};

use crate::style::{Painter, printable};

/// Exit code of a wrong command line.
pub const EXIT_USAGE: u8 = 2;
/// Exit code of an answer that was interrupted or waits for somebody; trying again goes on.
pub const EXIT_AGAIN: u8 = 5;
/// Exit code after a second Ctrl-C: 128 + SIGINT, as shells have it.
pub const EXIT_SIGINT: u8 = 130;

/// Why a command ended without its answer.
#[derive(Debug)]
pub enum Failure {
    /// To be reported; the exit code follows from the kind.
    Wire(Box<WireError>),
    /// To be reported, with an exit code of its own.
    Coded(Box<WireError>, u8),
    /// Reported with what was achieved until then, as `data` beside `error`.
    Partly(Box<WireError>, Value),
    /// All was said already.
    Said(u8),
    /// The reader of standard output went away.
    Closed,
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::Wire(Box::new(error))
    }
}

/// How a command ends: its exit code, or why not.
pub type Ending = Result<u8, Failure>;

/// A usage error found after parsing.
#[must_use]
pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::Coded(Box::new(WireError::user(message).hint(hint)), EXIT_USAGE)
}

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    streaming: bool,
    out: Painter,
    err: Painter,
    /// Both ends are a person's terminal, so that a question can be asked.
    interactive: bool,
    stderr_terminal: bool,
}

impl Output {
    /// Output of this process. Colours are for terminals, and not where `NO_COLOR` is set or the terminal is
    /// a dumb one.
    #[must_use]
    pub fn from_process(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let stderr_terminal = io::stderr().is_terminal();
        Self {
            json,
            streaming: false,
            out: Painter::new(!plain && !json && io::stdout().is_terminal()),
            err: Painter::new(!plain && stderr_terminal),
            interactive: !json && io::stdin().is_terminal() && stderr_terminal,
            stderr_terminal: stderr_terminal && !json,
        }
    }

    /// The same for a command that prints lines: its error is a line of type `end` too.
    #[must_use]
    pub const fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }

    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    #[must_use]
    pub const fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether a view may take the terminal over: somebody looks at it, and types.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.interactive && self.out.paints()
    }

    /// Whether progress may be drawn.
    #[must_use]
    pub const fn draws_progress(&self) -> bool {
        self.stderr_terminal
    }

    /// Painter for text on standard output.
    #[must_use]
    pub const fn painter(&self) -> Painter {
        self.out
    }

    /// Painter for text on standard error.
    #[must_use]
    pub const fn err_painter(&self) -> Painter {
        self.err
    }

    /// Prints the answer: the envelope, or the text.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written.
    pub fn reply<T: Serialize>(&self, data: &T, text: impl FnOnce(Painter) -> String) -> Result<(), Failure> {
        if self.json {
            return write_stdout(&format!("{}\n", success_envelope(data)?));
        }
        let text = text(self.out);
        let text = text.trim_end_matches('\n');
        if text.is_empty() { Ok(()) } else { write_stdout(&format!("{text}\n")) }
    }

    /// One JSON object on a line of its own. Flushed, since somebody waits for it.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written.
    pub fn line<T: Serialize>(&self, object: &T) -> Result<(), Failure> {
        write_stdout(&format!("{}\n", encode(object)?))
    }

    /// Text exactly as it is, flushed.
    ///
    /// # Errors
    /// When standard output is closed or cannot be written.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        write_stdout(text)
    }

    /// A remark for a person, on standard error. Silent with `--json`.
    pub fn note(&self, text: &str) {
        if !self.json {
            write_stderr(&format!("{text}\n"));
        }
    }

    /// Reports how a command ended and gives the exit code of the process.
    #[must_use]
    pub fn end(&self, ending: Ending) -> ExitCode {
        ExitCode::from(match ending {
            Ok(code) | Err(Failure::Said(code)) => code,
            // The reader had enough: no fault, and nobody to tell.
            Err(Failure::Closed) => 0,
            Err(Failure::Output(error)) => {
                write_stderr(&format!("error: cannot write to standard output: {error}\n"));
                1
            }
            Err(Failure::Wire(error)) => {
                self.report(&error, None);
                error.exit_code()
            }
            Err(Failure::Coded(error, code)) => {
                self.report(&error, None);
                code
            }
            Err(Failure::Partly(error, data)) => {
                self.report(&error, Some(data));
                error.exit_code()
            }
        })
    }

    fn report(&self, error: &WireError, data: Option<Value>) {
        if !self.json {
            write_stderr(&error_text(error, self.err));
            return;
        }
        let mut envelope = error_envelope(error);
        if let Some(data) = data {
            envelope["data"] = data;
        }
        if self.streaming {
            envelope["type"] = json!("end");
            envelope["status"] = json!("failed");
        }
        print_raw_line(&envelope);
    }
}

/// `{"success":true,"data":...}` as text.
///
/// # Errors
/// When the data has no JSON form.
pub fn success_envelope<T: Serialize>(data: &T) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        success: bool,
        data: &'a T,
    }
    encode(&Envelope { success: true, data })
}

/// `{"success":false,"error":{kind,message,hints,owner?}}`.
#[must_use]
pub fn error_envelope(error: &WireError) -> Value {
    json!({ "success": false, "error": error })
}

/// An error for a person: what went wrong, who holds it, what to do.
#[must_use]
pub fn error_text(error: &WireError, paint: Painter) -> String {
    let mut text = format!("{} {}\n", paint.red("error:"), printable(&error.message));
    if let Some(owner) = &error.owner
        && !error.message.contains(&owner.agent_id)
    {
        text += &format!("  held by {} on {}\n", printable(&owner.agent_id), printable(&owner.host));
    }
    for hint in &error.hints {
        text += &format!("{} {}\n", paint.cyan("hint:"), printable(hint));
    }
    text
}

fn encode<T: Serialize>(object: &T) -> Result<String, Failure> {
    serde_json::to_string(object)
        .map_err(|e| WireError::internal(format!("the answer has no JSON form: {e}")).into())
}

/// Prints a JSON object where nothing can be done about a failure to print.
pub(crate) fn print_raw_line(object: &Value) {
    let _ = write_stdout(&format!("{object}\n"));
}

fn write_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Output(error),
    })
}

fn write_stderr(text: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::{Alive, ClaimOwner, ErrorKind};

    fn owner() -> ClaimOwner {
        ClaimOwner {
            agent_id: "claude-1".into(),
            host: "box".into(),
            pid: None,
            since: "2026-01-02T03:04:05Z".into(),
            alive: Alive::Unknown,
            session: None,
        }
    }

    #[test]
    fn the_envelope_of_an_answer_holds_it_under_data() {
        let text = success_envelope(&json!({"a": 1})).unwrap();
        assert_eq!(text, r#"{"success":true,"data":{"a":1}}"#);
    }

    #[test]
    fn the_envelope_of_an_error_names_kind_hints_and_owner() {
        let error = WireError::conflict("feat-x is claimed").hint("wait with --wait 60").owned_by(owner());
        assert_eq!(
            error_envelope(&error),
            json!({"success": false, "error": {
                "kind": "conflict", "message": "feat-x is claimed", "hints": ["wait with --wait 60"],
                "owner": {"agentId": "claude-1", "host": "box", "pid": null, "since": "2026-01-02T03:04:05Z", "alive": "unknown"},
            }})
        );
    }

    #[test]
    fn exit_codes_follow_from_the_kind() {
        let output = Output::from_process(true);
        let plain = |kind| format!("{:?}", output.end(Err(WireError::new(kind, "x").into())));
        for (kind, code) in [
            (ErrorKind::User, 1),
            (ErrorKind::Internal, 1),
            (ErrorKind::Conflict, 3),
            (ErrorKind::NotFound, 4),
            (ErrorKind::Busy, 5),
            (ErrorKind::Unavailable, 5),
        ] {
            assert_eq!(plain(kind), format!("{:?}", ExitCode::from(code)), "{kind:?}");
        }
        let usage = output.end(Err(usage("wrong", "right")));
        assert_eq!(format!("{usage:?}"), format!("{:?}", ExitCode::from(2)));
        let closed = output.end(Err(Failure::Closed));
        assert_eq!(format!("{closed:?}"), format!("{:?}", ExitCode::from(0)));
    }

    #[test]
    fn an_error_for_a_person_has_its_hints_and_no_control_characters() {
        let error = WireError::conflict("bad \u{1b}[31mname").hint("do this").owned_by(owner());
        insta::assert_snapshot!(error_text(&error, Painter::new(false)), @r"
        error: bad [31mname
          held by claude-1 on box
        hint: do this
        ");
    }
}
