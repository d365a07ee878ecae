//! Real files, the system's own watcher, and conditions that are waited for.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests, outside of test functions")]

mod bounds;
mod files;
mod ignored;
mod support;
mod trees;
