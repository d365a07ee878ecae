//! AI sessions: transcripts, checkpoints and the providers that answer (seed 000, diagram 3).
//!
//! A [`Provider`] produces chunks; the turn driver stores each as an item of the transcript and only then shows it
//! to whoever is attached. An item carries the tokens it stands for, so that the store alone says how to go on:
//! after the death of the daemon a resumed turn shows neither a gap nor a repeat.

#[cfg(target_os = "linux")]
pub mod acp;
mod agent;
pub mod anthropic;
mod budget;
mod checkpoint;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
pub mod command;
mod compaction;
mod diff;
mod error;
mod export;
mod fork;
mod history;
mod http;
mod hub;
mod inbox;
mod keys;
pub mod local;
mod manager;
mod next;
pub mod openai;
mod opening;
pub mod permission;
mod prepare;
mod pricing;
mod prompt;
mod provider;
mod pulse;
mod reading;
mod rewind;
mod rows;
mod search;
pub mod tools;
mod turn;
mod used;
#[cfg(unix)]
pub mod workplace;

pub use agent::{ToolRun, Toolbox, Toolkit, Workbench};
pub use checkpoint::{Snapshots, StopAfter, Tree, Trees};
#[cfg(target_os = "linux")]
pub use child::{AgentHost, Homeless, Lodger, Lodgings, Quarters, Room};
pub use error::SessionError;
pub use fork::ForkPlan;
pub use hub::{Attachment, TurnLink, Update};
pub use inbox::{Inbox, Question};
pub use keys::Keys;
pub use manager::{Announced, Env, Sessions, Settings, Start, WorktreeRef};
pub use next::{Bounds, Limits, Next};
pub use provider::{
    Chunk, Message, Part, Provider, ProviderError, Revival, Speaker, StopCause, ToolCall, ToolResult,
    ToolSpec, Turn, TurnOutcome, Window,
};
pub use pulse::Busy;
pub use rewind::{Rewind, RewindStep};
