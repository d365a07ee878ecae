//! Shell completions.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::output::{Failure, Output};

#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Shell to print completions for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the completion script of a command line. Always a script, so that `--json` makes no sense of it.
///
/// # Errors
/// When standard output is closed or cannot be written.
pub fn print<C: CommandFactory>(output: &Output, name: &str, args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), name, &mut script);
    let script = String::from_utf8_lossy(&script);
    if output.is_json() {
        output.reply(&serde_json::json!({ "shell": args.shell.to_string(), "script": script }), |_| {
            String::new()
        })?;
    } else {
        output.text(&script)?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::imi::ImiCli::command(), "imi", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("verify-lock"), "{shell}");
        }
    }
}
