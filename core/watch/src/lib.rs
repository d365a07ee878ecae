//! The one file watcher: everybody in a process who wants to know what changes on disk shares it.

mod backend;
mod changes;
mod error;
mod fence;
mod files;
mod filter;
mod inbox;
mod options;
mod service;
mod snapshot;
mod tree;
mod watcher;

pub use changes::{Change, Changes, Revision};
pub use error::WatchError;
pub use options::{Mode, TreeOptions};
pub use watcher::Watcher;
