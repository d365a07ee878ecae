//! `bb`: events and queues of tasks, without anything of the daemon linked in.

use std::process::ExitCode;

use podium_cli::bb::{self, BbCli};
use podium_cli::context::{Context, block_on};
use podium_cli::output::Output;
use podium_cli::parse::parse;

fn main() -> ExitCode {
    let cli = match parse::<BbCli>(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let output = bb::output_for(&cli.bb.command, Output::from_process(cli.output.json));
    let context = Context::from_process("bb", output);
    output.end(block_on(bb::run(&context, cli.bb)))
}
