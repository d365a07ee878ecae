//! From arguments to a command, with usage errors in the form the caller asked for.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind as ClapKind;
use clap::{Args, Parser};
use podium_protocol::{ErrorKind, WireError};

use crate::output::{self, EXIT_USAGE};

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Print one JSON object (streaming commands: one per line) instead of text
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
}

/// Parses the arguments, or prints help, version or the usage error and gives the exit code.
///
/// # Errors
/// The exit code to leave with: 0 after help and version, 2 after a usage error, 1 on a processor that this program was
/// not compiled for.
pub fn parse<T: Parser>(arguments: Vec<OsString>) -> Result<T, ExitCode> {
    let json = wants_json(&arguments);
    // Every program begins here, before anything that was compiled for a newer processor runs.
    podium_process::cpu::supported().map_err(|message| refuse(&message, json))?;
    T::try_parse_from(arguments).map_err(|error| report(&error, json))
}

/// Whether `--json` stands before `--`, read without clap because a usage error leaves no parsed arguments.
#[must_use]
pub fn wants_json(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|a| *a != "--").any(|a| a == "--json")
}

fn refuse(message: &str, json: bool) -> ExitCode {
    let error = WireError::new(ErrorKind::Unavailable, message);
    if json {
        output::print_raw_line(&output::error_envelope(&error));
    } else {
        let _ = writeln!(std::io::stderr(), "error: {message}");
    }
    ExitCode::FAILURE
}

fn report(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        output::print_raw_line(&output::error_envelope(&usage_error(error)));
    } else {
        // Nobody is left to tell when the terminal is gone.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 })
}

/// A clap error in the words of the protocol.
#[must_use]
pub fn usage_error(error: &clap::Error) -> WireError {
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim).filter(|p| !p.is_empty());
    let message = match error.kind() {
        ClapKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
        _ => one_line(paragraphs.next().unwrap_or_default().trim_start_matches("error: ")),
    };
    let mut wire = WireError::new(ErrorKind::User, message);
    for paragraph in paragraphs {
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            wire = wire.hint(one_line(tip));
        } else if let Some(usage) = paragraph.strip_prefix("Usage: ") {
            wire = wire.hint(format!("usage: {}", one_line(usage)));
        }
    }
    if wire.hints.is_empty() {
        wire = wire.hint("see --help");
    }
    wire
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imi::ImiCli;
    use crate::jelmore::JelmoreCli;

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    #[test]
    fn json_is_taken_anywhere_before_the_double_dash() {
        for line in [
            &["imi", "--json", "feat", "x"][..],
            &["imi", "feat", "--json", "x"],
            &["imi", "feat", "x", "--json"],
        ] {
            let cli = ImiCli::try_parse_from(line).unwrap();
            assert!(cli.output.json, "{line:?}");
            assert!(wants_json(&words(line)), "{line:?}");
        }
        let nested = ["jelmore", "sessions", "show", "some-id", "--json"];
        assert!(JelmoreCli::try_parse_from(nested).unwrap().output.json);
    }

    #[test]
    fn json_behind_the_double_dash_is_a_name() {
        let line = ["imi", "feat", "--", "--json"];
        assert!(!ImiCli::try_parse_from(line).unwrap().output.json);
        assert!(!wants_json(&words(&line)));
    }

    #[test]
    fn a_usage_error_becomes_an_envelope_with_hints() {
        let error = ImiCli::try_parse_from(["imi", "claim", "--json"]).unwrap_err();
        let envelope = output::error_envelope(&usage_error(&error));
        assert_eq!(envelope["success"], false);
        assert_eq!(envelope["error"]["kind"], "user");
        let message = envelope["error"]["message"].as_str().unwrap();
        assert!(message.contains("<NAME>") && !message.contains('\n'), "{message}");
        assert!(envelope["error"]["hints"][0].as_str().unwrap().starts_with("usage: imi claim"));
    }

    #[test]
    fn a_misspelt_command_gets_the_right_one_as_a_hint() {
        let error = ImiCli::try_parse_from(["imi", "types", "remve"]).unwrap_err();
        let wire = usage_error(&error);
        assert!(wire.hints.iter().any(|h| h.contains("remove")), "{wire:?}");
    }

    #[test]
    fn a_missing_command_is_said_in_one_line() {
        let error = ImiCli::try_parse_from(["imi", "--json"]).unwrap_err();
        assert!(error.use_stderr());
        assert!(!usage_error(&error).message.contains('\n'));
    }
}
