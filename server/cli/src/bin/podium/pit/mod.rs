//! `podium melody run`, `podium runs`, `podium pool`.

pub(crate) mod args;
mod follow;
mod render;
mod runs;
mod start;

pub(crate) use runs::{pool, runs};
pub(crate) use start::run;
