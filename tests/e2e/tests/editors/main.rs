//! The editors, started for real. Needs the tools that `cargo xtask provision` puts in place.
