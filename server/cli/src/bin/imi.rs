//! `imi`: worktrees and claims, without anything of the daemon linked in.

use std::process::ExitCode;

use podium_cli::context::{Context, block_on};
use podium_cli::imi::{self, ImiCli};
use podium_cli::output::Output;
use podium_cli::parse::{parse, wants_json};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Behind the name of a type that a person added, clap leaves the words alone.
    let json = wants_json(&arguments);
    let cli = match parse::<ImiCli>(arguments) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = Output::from_process(cli.output.json || json);
    let context = Context::from_process("imi", output);
    output.end(block_on(imi::run(&context, cli.imi)))
}
