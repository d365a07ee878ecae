//! Local models: which ones there are, how they come onto this machine, and how they answer.
//!
//! A model is one GGUF file. [`catalogue`] names the known ones with pinned hashes, [`ModelCache`] keeps
//! their files, [`fetch`](fetch::fetch) brings them in, [`LoadedModel`] holds one in memory, and
//! [`Generation`] continues a conversation token by token.
//!
//! Two properties everything here serves:
//!
//! * **Exact resumption.** A [`GenerationState`] is a few kilobytes of token ids and sampler settings.
//!   [`Generation::resume`] continues from it with the very tokens the undisturbed run would have drawn.
//!   That holds because every row of every matrix product is computed by the same sequence of floating
//!   point operations however rows are batched, and because the random numbers are a function of
//!   (seed, step).
//! * **No surprise threads.** A generation computes on the thread that calls it and on no other, so
//!   several sessions share the processor through the operating system and an idle daemon has no pool.

pub mod catalogue;
pub mod fetch;

mod cache;
mod chat;
mod error;
mod generation;
mod gguf;
mod matrix;
mod network;
mod region;
mod sampler;
mod tls;
mod tokenizer;

pub use cache::{ModelCache, ModelState, ModelStatus};
pub use catalogue::{CatalogueEntry, ChatTemplate};
pub use chat::{Message, Role};
pub use error::{ErrorKind, ModelError};
pub use generation::{
    Generation, GenerationState, PREFILL_BATCH, REPEAT_WINDOW, Segment, SegmentMode, Step, StopReason,
};
pub use network::LoadedModel;
pub use sampler::SamplerParams;
pub use tls::install_tls;
pub use tokenizer::{TextDecoder, Tokenizer};
