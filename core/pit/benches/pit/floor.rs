//! What nobody can do without: counters and deques, and the sync of what was written.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_deque::{Stealer, Worker};

use crate::graph;

/// The graph as arrays of its own.
pub(crate) struct Rows {
    starts: Vec<usize>,
    targets: Vec<u32>,
    degrees: Vec<u32>,
}

impl Rows {
    pub(crate) fn new(nodes: usize) -> Self {
        let mut children = vec![Vec::new(); nodes];
        let mut degrees = vec![0; nodes];
        for (node, degree) in degrees.iter_mut().enumerate() {
            for parent in graph::parents(node, nodes) {
                children[parent].push(u32::try_from(node).unwrap());
                *degree += 1;
            }
        }
        let mut starts = vec![0];
        for own in &children {
            starts.push(starts.last().unwrap() + own.len());
        }
        Self { starts, targets: children.concat(), degrees }
    }

    fn of(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[node as usize]..self.starts[node as usize + 1]]
    }

    /// Atomic counters, a deque for each of two threads, the first free child on the spot.
    pub(crate) fn walk(&self) -> Duration {
        let counters: Vec<AtomicU32> = self.degrees.iter().map(|degree| AtomicU32::new(*degree)).collect();
        let workers = [Worker::new_lifo(), Worker::new_lifo()];
        let stealers = [workers[0].stealer(), workers[1].stealer()];
        let done = AtomicUsize::new(0);
        let start = Instant::now();
        for (node, _) in (0..).zip(&self.degrees).filter(|(_, degree)| **degree == 0) {
            workers[node as usize % 2].push(node);
        }
        thread::scope(|scope| {
            for worker in workers {
                scope.spawn(|| self.work(worker, &stealers, &counters, &done));
            }
        });
        start.elapsed()
    }

    fn work(
        &self,
        worker: Worker<u32>,
        stealers: &[Stealer<u32>; 2],
        counters: &[AtomicU32],
        done: &AtomicUsize,
    ) {
        let mut own = 0;
        loop {
            let steal = || stealers.iter().find_map(|stealer| stealer.steal_batch_and_pop(&worker).success());
            let Some(node) = worker.pop().or_else(steal) else {
                let all = done.fetch_add(std::mem::take(&mut own), Ordering::AcqRel);
                if all >= counters.len() || done.load(Ordering::Acquire) >= counters.len() {
                    return;
                }
                thread::yield_now();
                continue;
            };
            let mut next = Some(node);
            while let Some(node) = next.take() {
                own += 1;
                for &child in self.of(node) {
                    if counters[child as usize].fetch_sub(1, Ordering::AcqRel) == 1
                        && let Some(less) = next.replace(child)
                    {
                        worker.push(less);
                    }
                }
            }
        }
    }

    /// One record of each node of a layer, then one sync, for each layer.
    pub(crate) fn strict(&self, file: &mut File, record: &[u8]) -> Duration {
        let start = Instant::now();
        let mut waiting = self.degrees.clone();
        let free = (0..).zip(&self.degrees).filter(|(_, degree)| **degree == 0);
        let mut wave: Vec<u32> = free.map(|(node, _)| node).collect();
        while !wave.is_empty() {
            let bytes = record.repeat(wave.len());
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
            let mut next = Vec::new();
            for node in wave {
                for &child in self.of(node) {
                    waiting[child as usize] -= 1;
                    if waiting[child as usize] == 0 {
                        next.push(child);
                    }
                }
            }
            wave = next;
        }
        start.elapsed()
    }

    /// Walks, then writes and syncs in groups of 8,192.
    pub(crate) fn lax(&self, file: &mut File, record: &[u8]) -> Duration {
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| self.walk());
            let mut left = self.degrees.len();
            while left > 0 {
                let group = left.min(8192);
                file.write_all(&record.repeat(group)).unwrap();
                file.sync_data().unwrap();
                left -= group;
            }
        });
        start.elapsed()
    }
}
