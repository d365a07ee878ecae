//! `podium lsp`: hands the process to the language server.

use std::process::ExitCode;

use podium_cli::output::Output;
use podium_client::ConnectOptions;
use podium_lsp::LspOptions;

/// Standard output belongs to the protocol from here on.
pub(crate) fn run(output: Output) -> ExitCode {
    let connect = match ConnectOptions::from_process("podium lsp") {
        Ok(connect) => ConnectOptions { program: std::env::current_exe().ok(), ..connect },
        Err(error) => return output.end(Err(error.into())),
    };
    // In a folder of its own: `podium daemon logs` shows the daemon's.
    let log = connect.home.logs().join("lsp").join("lsp.log");
    let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    podium_lsp::run(LspOptions {
        agent_id: variable("PODIUM_AGENT_ID"),
        log: Some(log),
        log_filter: variable("PODIUM_LOG"),
        ..LspOptions::new(connect)
    })
}
