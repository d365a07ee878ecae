//! Agents that outlive the daemon: one small process for each, which owns the agent's pipes.
//!
//! The daemon starts a runner detached ([`Launcher::start`]) and hands it the [`Spec`] over a socket, never by argument
//! or file, since the environment in it may hold keys. The runner starts the agent, appends whatever it writes to a
//! backlog on the disk, and serves one unix socket: [`Attached::to`] reads from any byte that was not acknowledged yet,
//! first what is stored, then what comes.
//!
//! - **Nothing is lost, nothing doubled.** A byte stays in the backlog until it is acknowledged. An agent that floods
//!   is no longer read when too much is unacknowledged, so it waits and memory stays flat.
//! - **Input is applied once.** Each write has a number; one that is not above the last applied is dropped.
//! - **It ends.** With its agent, when nobody is attached any more (what is left is read from the disk), or after a
//!   bounded time with nobody attached. A runner that is killed takes the agent along; what still runs of it is found
//!   by a mark in its environment.

mod backlog;
mod child;
mod client;
mod connection;
mod folder;
mod host;
mod spec;
mod strays;
mod wire;

use std::{io, path::PathBuf};

pub use client::{Attached, Controls, Event, Launcher, end, run_in};
pub use folder::{is_alive, remove, runs};
pub use host::run_from_stdin;
pub use spec::{AgentEnd, EndCause, Spec, Status};

/// Why an agent's runner could not be started or reached. How an agent ended is told by [`AgentEnd`], not here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The folder's runner lives; attach to it.
    #[error("an agent runs in `{}` already", folder.display())]
    Runs { folder: PathBuf },
    /// There was never such a run here, or it was removed.
    #[error("no agent was started in `{}` as this run", folder.display())]
    NoSuchRun { folder: PathBuf },
    /// The agent itself could not be started.
    #[error("the agent could not be started: {reason}")]
    Agent { reason: String },
    /// Bytes that were acknowledged are asked for again.
    #[error("the output from byte {offset} on is not kept any more; the oldest kept is {oldest}")]
    Gone { offset: u64, oldest: u64 },
    /// Somebody else attached later.
    #[error("another client took over this agent")]
    Displaced,
    /// More input waits than an agent that reads it would leave.
    #[error("the agent does not read its input")]
    InputFull,
    #[error("the runner speaks version {version}, which this program does not know")]
    Version { version: u32 },
    #[error("the agent's runner broke off: {what}")]
    Broken { what: String },
    #[error("{what} in `{}`", folder.display())]
    Folder {
        what: &'static str,
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Process(#[from] crate::ProcessError),
}
