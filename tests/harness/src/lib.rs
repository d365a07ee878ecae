//! Hermetic environments and launchers of real parts for the tests.
//!
//! A [`TestEnvironment`] is a machine of its own: home, state, git configuration and `PATH` are private, the daemon
//! that runs in it is ended with it. What is wrong with the surroundings (a binary not built, a tool not provisioned)
//! fails the test with what to do about it: this crate serves tests only, and panics like them.

mod binaries;
pub mod code_host;
mod command;
mod environment;
mod jsonl;
mod llama;
mod lsp;
pub mod messages;
mod poll;
pub mod process;
mod repo;
pub mod streaming;
mod tools;

pub use binaries::{binaries, binary, on_path};
pub use command::{Finished, Invocation};
pub use environment::{EnvironmentBuilder, MODEL, TestEnvironment};
pub use jsonl::JsonLines;
pub use llama::LlamaServer;
pub use lsp::{Capabilities, LspBuilder, LspClient, file_uri};
pub use poll::{Poll, eventually};
pub use repo::{RepoBuilder, TestRepo};
pub use tools::{ToolPaths, checkout, screenshots};
