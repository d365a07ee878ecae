//! One binary, one module per feature.
#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod keys;
mod redaction;
mod streams;
