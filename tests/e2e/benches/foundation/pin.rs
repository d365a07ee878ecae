//! Processors for a while taken from processes. Waking an idle processor costs more than a whole round trip on a busy
//! one, and which of the two a ping gets is the scheduler's luck: both sides of a comparison get the same one.

use std::fs;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};

/// All threads of some processes on one processor, until this value ends.
pub(crate) struct Pinned(Vec<(Pid, CpuSet)>);

impl Pinned {
    pub(crate) fn to_one(pids: &[u32]) -> Result<Self> {
        let mut pinned = Self(Vec::new());
        for pid in pids {
            for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
                let name = entry?.file_name();
                let raw = name.to_str().and_then(|n| n.parse().ok()).context("a thread's number")?;
                let thread = Pid::from_raw(raw).context("a thread's number")?;
                let before = sched_getaffinity(Some(thread))?;
                let first = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu)).context("no processor")?;
                let mut one = CpuSet::new();
                one.set(first);
                sched_setaffinity(Some(thread), &one)?;
                pinned.0.push((thread, before));
            }
        }
        Ok(pinned)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        for (thread, before) in &self.0 {
            let _ = sched_setaffinity(Some(*thread), before);
        }
    }
}
