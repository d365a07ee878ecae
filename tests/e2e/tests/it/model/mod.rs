//! What needs the real local model. One at a time: it uses every core by itself.

mod agents;
mod crash;
mod endings;
mod lsp;
mod main_job;
mod openai;
mod sessions;
mod transcript;
