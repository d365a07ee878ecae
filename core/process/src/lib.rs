//! Child processes as Podium needs them: each in a session of its own, with a cleared environment, bounded output,
//! a timeout that reaches grandchildren, resource limits, and optionally a sandbox.
//!
//! - [`ProcessIdentity`] names a process so that its death can be proven although pids are reused.
//! - [`Command`] runs a child to its end ([`Command::output`]) or hands it over for streaming ([`Command::spawn`]).
//! - [`Detached`] starts a daemon that outlives its starter.
//! - [`runner`] keeps an agent running, and what it writes, while the daemon is restarted.
//! - [`sandbox::wrap`] confines a command by bubblewrap or by Landlock and seccomp.
//!
//! Linux is complete. Elsewhere on Unix there are groups, limits and timeouts, but process death is proven by `kill(0)`
//! alone, leftovers of an ended group are found by the group only, and there is no sandbox. On Windows only the direct
//! child is ended. Both are untested.

mod capture;
mod child;
mod command;
pub mod cpu;
mod detached;
mod error;
mod group;
mod identity;
mod limits;
#[cfg(target_os = "linux")]
pub mod runner;
pub mod sandbox;
mod spawner;

pub use capture::Captured;
pub use child::{Child, Ended, Exit, Output};
pub use command::{Command, INHERITED_ENV, Stdin, Stdout};
pub use detached::Detached;
pub use error::ProcessError;
pub use identity::{ProcessIdentity, ProcessState, watch_exit};
pub use limits::Limits;
