//! One binary, one module per feature.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "all of this is test code"
)]

mod command;
mod detached;
mod identity;
mod runner;
mod sandbox;
mod support;
