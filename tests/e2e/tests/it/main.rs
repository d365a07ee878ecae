//! The binaries, end to end. Tests with the local model are in the module `model`: they run one at a time.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails where something is missing")]

mod agent_loop;
mod bad_input;
mod budgets;
mod claims;
mod code_hosts;
mod complaints;
mod completions;
mod connections;
mod daemon;
mod full_disk;
mod fuzz_seeds;
mod guard;
mod helix;
mod hostile_clients;
mod inbox;
mod injection;
mod interfaces;
mod kills;
mod lsp;
mod lsp_wire;
mod merge_faults;
mod model;
mod monitor;
mod observing;
mod projects;
mod radar;
mod reflink;
mod reviews;
mod runs;
mod spares;
mod storage_faults;
mod sync;
mod terminal;
mod versions;
mod worktrees;
