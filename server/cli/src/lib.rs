//! The command lines: what `imi`, `jelmore`, `bb` and `podium` share, and the first three in full.
//!
//! This library reaches the daemon through `podium-client` and knows nothing of the daemon's inside, so
//! `imi`, `jelmore` and `bb` stay small and start fast. What needs the daemon, the language server or the models
//! themselves is under `src/bin/podium/`.

pub mod bb;
pub mod completions;
pub mod context;
pub mod imi;
pub mod interrupt;
pub mod jelmore;
pub mod output;
pub mod parse;
pub mod progress;
mod screen;
pub mod style;
pub mod table;
pub mod time;
