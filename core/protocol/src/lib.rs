//! Every message between a client and the daemon: types, method names, errors and the frame codec.
//!
//! One protocol, two transports: over IPC a message is a MessagePack [`Frame`]; over LSP the same parameters
//! travel as JSON in the custom method `podium/<name>` or in the command `podium.<name with dots>`.
//! All field names are camelCase, all enum values snake_case, all times RFC 3339 in UTC.
//! An unknown field is ignored and an unknown method answers with a typed error, so old and new meet.

mod artifact;
mod checkpoint;
mod claim;
mod cloud_event;
mod config;
mod conflict;
mod diff;
mod error;
mod event;
mod frame;
mod guard;
mod health;
mod inbox;
mod melody;
mod method;
mod model;
mod pit;
mod provide;
mod repo;
mod review;
mod run;
pub mod schema;
mod search;
mod session;
mod sync;
mod system;
mod task;
mod upkeep;
mod words;
mod worktree;

pub use artifact::*;
pub use checkpoint::*;
pub use claim::*;
pub use cloud_event::*;
pub use config::*;
pub use conflict::*;
pub use diff::*;
pub use error::*;
pub use event::*;
pub use frame::*;
pub use guard::*;
pub use health::*;
pub use inbox::*;
pub use melody::*;
pub use method::*;
pub use model::*;
pub use pit::*;
pub use provide::*;
pub use repo::*;
pub use review::*;
pub use run::*;
pub use search::*;
pub use session::*;
pub use sync::*;
pub use system::*;
pub use task::*;
pub use upkeep::*;
pub use words::count;
pub use worktree::*;

/// The protocol's version. Raised when a change is not understood by the other side.
pub const PROTOCOL_VERSION: u32 = 1;

/// Version of the software, as the handshake tells it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
