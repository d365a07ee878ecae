//! The service on real repositories and a store on disk.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod bed;
mod claims;
mod crashes;
mod create;
mod guard;
mod hostile;
mod large_files;
mod merge_crashes;
mod merging;
mod observing;
mod outside;
mod owners;
mod projects;
mod provide;
mod radar;
mod removal;
mod repositories;
mod reviews;
mod spares;
mod sync;
mod upkeep;
