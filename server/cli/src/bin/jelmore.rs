//! `jelmore`: AI sessions, without anything of the daemon linked in.

use std::process::ExitCode;

use podium_cli::context::{Context, block_on};
use podium_cli::jelmore::{self, JelmoreCli};
use podium_cli::output::Output;
use podium_cli::parse::parse;

fn main() -> ExitCode {
    let cli = match parse::<JelmoreCli>(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = jelmore::output_for(&cli.jelmore.command, Output::from_process(cli.output.json));
    let context = Context::from_process("jelmore", output);
    output.end(block_on(jelmore::run(&context, cli.jelmore)))
}
