//! The daemon's log: JSON lines in a file, a new file each day, a week of them kept.

use podium_config::Home;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

/// Days of log that are kept.
const KEPT_FILES: usize = 7;

/// Begins to log. What is logged is written when the guard is dropped at the latest.
pub(crate) fn start(home: &Home, level: &str) -> Option<WorkerGuard> {
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("daemon")
        .filename_suffix("log")
        .max_log_files(KEPT_FILES)
        .build(home.logs())
        .ok()?;
    let (writer, guard) = tracing_appender::non_blocking(appender);
    let filter = std::env::var("PODIUM_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(format!("warn,podium={level}")));
    let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(writer);
    subscriber.try_init().ok()?;
    Some(guard)
}
