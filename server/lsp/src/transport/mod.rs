//! The stdio transport: bounded reading, ordered dispatch, bounded writing.
//!
//! The service layer (routing, life cycle, cancellation, requests to the client) is the library's; the loop around
//! it is ours, because it has to survive what the library's does not: a message of 100 MB, a header that is none,
//! JSON that is broken, a client that does not read.

mod framing;
mod serve;
mod sieve;
mod writer;

pub(crate) use serve::{Ended, serve};
pub(crate) use sieve::REQUEST_ID;
pub(crate) use writer::{WayOut, outgoing};
