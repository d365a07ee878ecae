//! The editors, started for real. Needs the tools that `cargo xtask provision` puts in place.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails where something is missing")]

mod agent;
mod neovim;
mod vscode;
