//! What a person sees while things are installed: one line at the start and one at the end of each action.

use std::time::Instant;

use anyhow::Result;

pub(super) struct Report;

impl Report {
    pub(super) fn present(&self, what: &str) {
        println!("  ok       {what}");
    }

    pub(super) fn action<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("  start    {what}");
        let start = Instant::now();
        let result = work();
        let outcome = if result.is_ok() { "done" } else { "FAILED" };
        println!("  {outcome:<8} {what} ({:.1} s)", start.elapsed().as_secs_f64());
        result
    }
}
