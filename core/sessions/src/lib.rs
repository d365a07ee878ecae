//! AI sessions: transcripts, checkpoints and the providers that answer (seed 000, diagram 3).
//!
//! A [`Provider`] produces chunks; the turn driver stores each as an item of the transcript and only then shows it
//! to whoever is attached. An item carries the tokens it stands for, so that the store alone says how to go on:
//! after the death of the daemon a resumed turn shows neither a gap nor a repeat.

mod error;
mod history;
mod hub;
mod inbox;
pub mod local;
mod manager;
mod opening;
mod prompt;
mod provider;
mod rows;
mod turn;

pub use error::SessionError;
pub use hub::{Attachment, Update};
pub use inbox::Inbox;
pub use manager::{Announced, Env, Sessions, Settings, Start, WorktreeRef};
pub use provider::{Chunk, Provider, ProviderError, Speaker, StopCause, Turn, TurnOutcome};
