//! Real files, the system's own watcher, and conditions that are waited for.

mod bounds;
mod files;
mod ignored;
mod support;
mod trees;
