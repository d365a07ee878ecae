//! The binaries, end to end.
