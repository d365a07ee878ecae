//! The binaries from outside, without a daemon: arguments, envelopes, exit codes, set-up.

mod bed;
mod envelopes;
mod melody;
mod scripts;
mod setup;
#[cfg(unix)]
mod stream;
