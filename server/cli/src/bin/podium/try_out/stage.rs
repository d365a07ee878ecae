//! The temporary folder in which it all happens.

use std::path::{Path, PathBuf};

use podium_cli::output::Failure;
use podium_client::{Client, ConnectOptions, StartPolicy};
use podium_config::Home;
use podium_protocol::WireError;
use tempfile::TempDir;

use crate::daemon::{home, options, stop_and_wait};

pub(super) struct Stage {
    folder: TempDir,
    root: PathBuf,
    home: Home,
}

impl Stage {
    /// # Errors
    /// When no temporary folder can be made, or the model cache has no place.
    pub(super) fn set_up() -> Result<Self, Failure> {
        let cannot =
            |e: std::io::Error| WireError::unavailable(format!("no temporary folder can be made: {e}"));
        let folder = tempfile::Builder::new().prefix("podium-try-").tempdir().map_err(cannot)?;
        // Git answers with real paths, and so should everything that is compared with them.
        let root = folder.path().canonicalize().map_err(cannot)?;
        let home = Home::new(root.join("home"), home()?.models());
        Ok(Self { folder, root, home })
    }

    pub(super) fn clone_folder(&self) -> PathBuf {
        self.root.join("repo")
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A new connection, which starts a daemon where none answers.
    pub(super) fn client(&self) -> Client {
        Client::new(self.options(StartPolicy::OnDemand))
    }

    fn options(&self, start: StartPolicy) -> ConnectOptions {
        options(self.home.clone(), start)
    }

    /// Stops the daemon and removes the folder; gives the home where it is kept.
    ///
    /// # Errors
    /// When the daemon does not stop or the folder cannot be removed; both are tried.
    pub(super) async fn clean_up(self, keep: bool) -> Result<Option<String>, Failure> {
        let stopped = stop_and_wait(&Client::new(self.options(StartPolicy::Never))).await;
        let home = self.home.root().display().to_string();
        if keep {
            let _ = self.folder.keep();
            stopped?;
            return Ok(Some(home));
        }
        let run = self.home.run();
        if !run.starts_with(&self.root) {
            // Only a folder of sockets, named by this home's hash.
            let _ = std::fs::remove_dir_all(run);
        }
        let path = self.root.display().to_string();
        let removed = self.folder.close();
        stopped?;
        removed.map_err(|e| WireError::unavailable(format!("{path} cannot be removed: {e}")))?;
        Ok(None)
    }
}
