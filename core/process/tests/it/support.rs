use std::{future::Future, time::Duration};

use podium_process::{Command, ProcessIdentity};
use tokio_util::sync::CancellationToken;

pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script]).env("PATH", "/usr/bin:/bin")
}

pub(crate) fn never() -> CancellationToken {
    CancellationToken::new()
}

/// Fails the test instead of hanging it.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("still not done")
}

/// Waits for a pid written to `file` and names its process.
pub(crate) async fn pid_in(file: &std::path::Path) -> ProcessIdentity {
    within(async {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n').and_then(|pid| pid.trim().parse().ok()) {
                return ProcessIdentity::of(pid).unwrap();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}
