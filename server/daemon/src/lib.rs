//! The daemon: one process per home that owns the store, the worktrees and the sessions.
//!
//! [`run`] brings it up in phases (home, configuration, store, services, sockets), serves until a signal or a
//! request ends it, and takes everything down in reverse. Clients ask; nobody else writes.

mod bootstrap;
mod call;
mod doctor;
mod forge;
mod home;
mod ipc;
mod logging;
mod pit;
mod runs;
mod services;
mod state;
mod tasks;
mod trees;
mod workplaces;

use std::process::ExitCode;

use podium_config::Home;
use podium_protocol::VERSION;

pub use bootstrap::StartError;

/// How to run a daemon.
#[derive(Debug, Clone)]
pub struct Options {
    pub home: Home,
    /// Told in the handshake. A client of a newer version replaces this daemon.
    pub version: String,
}

impl Options {
    #[must_use]
    pub fn new(home: Home) -> Self {
        Self { home, version: VERSION.to_owned() }
    }
}

/// Worker threads of the runtime: enough for two cores, few enough to stay small.
const WORKERS: usize = 2;

/// Runs a daemon in this process until it is asked to end.
///
/// # Errors
/// The first phase that failed, after the earlier ones were taken back; [`StartError::Serving`] when another daemon
/// serves this home already.
pub fn run(options: Options) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("podium")
        .enable_all()
        .build()
        .map_err(|source| StartError::Runtime { source })?;
    let outcome = runtime.block_on(bootstrap::run(options));
    // What still runs (a model's thread) holds nothing that is not stored.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    outcome
}
