//! The log: a file, never the streams of the protocol.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::views::set_mode;

/// A log larger than this is moved aside at the start, in bytes; one process writes no more than this.
const MAX_LOG: u64 = 4 * 1024 * 1024;

/// Logs to `path` from now on. A log that cannot be opened is no reason not to serve.
pub(crate) fn start(path: &Path, filter: Option<&str>) {
    let Ok(file) = open(path) else { return };
    let filter = filter.and_then(|filter| filter.parse::<Targets>().ok()).unwrap_or_else(|| {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_target("podium", LevelFilter::INFO)
            // It warns of each notification that has no handler.
            .with_target("tower_lsp_server", LevelFilter::ERROR)
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Mutex::new(Bounded { to: file, left: MAX_LOG }));
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
}

/// Writes so many bytes and no more: whoever sends broken messages must not fill the disk.
struct Bounded<W> {
    to: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left >= bytes.len() as u64 {
            self.left -= bytes.len() as u64;
            self.to.write_all(bytes)?;
        } else {
            self.left = 0;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if path.metadata().is_ok_and(|metadata| metadata.len() > MAX_LOG) {
        let _ = std::fs::rename(path, path.with_extension("log.1"));
    }
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    set_mode(path, 0o600)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_ends_at_its_limit() {
        let mut log = Bounded { to: Vec::new(), left: 10 };
        for _ in 0..3 {
            log.write_all(b"line 1\n").unwrap();
        }
        assert_eq!(log.to, b"line 1\n");
    }

    #[test]
    fn a_large_log_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/lsp.log");
        open(&path).unwrap().set_len(MAX_LOG + 1).unwrap();
        assert_eq!(open(&path).unwrap().metadata().unwrap().len(), 0);
        assert!(folder.path().join("logs/lsp.log.1").exists());
    }
}
