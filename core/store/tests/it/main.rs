//! The store from outside, on real files.
#![expect(clippy::unwrap_used, reason = "tests")]

mod faults;
mod log;
mod transactions;

use podium_store::{Options, Store};

fn open(dir: &tempfile::TempDir) -> Store {
    Store::open(&Options { path: dir.path().join("p.db") }).unwrap()
}
