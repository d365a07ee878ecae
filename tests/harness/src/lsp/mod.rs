//! A scripted LSP client: what an editor announces, what it understands, and everything it was sent.

mod capabilities;
mod client;
mod inbox;
mod wire;

pub use capabilities::Capabilities;
pub use client::{LspBuilder, LspClient, file_uri};
