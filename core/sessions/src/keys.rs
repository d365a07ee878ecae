//! Where a provider's key comes from: the caller's variables, else `secrets.toml` in Podium's home, else the system's
//! own keyring. Keys stay in memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_process::Command;
use podium_secrets::{KeySource, Keyring, KnownSecrets, Redactor, Secret, SecretsFile};
use tokio_util::sync::CancellationToken;

use crate::Env;
use crate::provider::ProviderError;

/// A keyring that waits for a person to unlock it is not waited for.
const KEYRING: Duration = Duration::from_secs(3);

/// Finds keys.
#[derive(Debug, Clone)]
pub struct Keys {
    home: PathBuf,
}

/// A key, and in words where it was found.
pub(crate) struct Found {
    pub(crate) secret: Secret,
    pub(crate) source: &'static str,
}

impl Keys {
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// # Errors
    /// Where a file of keys is there but cannot be trusted, in words for a person.
    pub(crate) async fn find(&self, env: &Env, name: &str) -> Result<Option<Found>, String> {
        let home = self.home.clone();
        let file = tokio::task::spawn_blocking(move || SecretsFile::load(&home)).await;
        let file = file.map_err(|error| error.to_string())?;
        let file = file.map_err(|error| format!("{error}; {}", error.hint()))?;
        let keyring = Keyring::new(env.iter().map(|(k, v)| (k.clone(), Secret::new(v.clone()))), file);
        if let Some((secret, source)) = keyring.get(name) {
            let source = match source {
                KeySource::Request => "of the environment",
                KeySource::File => "of secrets.toml",
            };
            return Ok(Some(Found { secret: secret.clone(), source }));
        }
        Ok(from_system(env, name).await)
    }

    /// What a session must neither show nor store: keys of its request and of the file, and what the worktree's `.env` files
    /// hold. A file that cannot be read holds nothing that could be sent.
    pub(crate) async fn redactor(&self, env: &Env, worktree: Option<PathBuf>) -> Redactor {
        let (env, home) = (env.clone(), self.home.clone());
        let build = move || {
            let mut known = KnownSecrets::new();
            let file = SecretsFile::load(&home).unwrap_or_default();
            Keyring::new(env.into_iter().map(|(k, v)| (k, Secret::new(v))), file).add_to(&mut known);
            if let Some(worktree) = &worktree {
                known.add_worktree(worktree);
            }
            Redactor::new(&known)
        };
        tokio::task::spawn_blocking(build).await.unwrap_or_default()
    }

    /// The key, or the session waits for one.
    ///
    /// # Errors
    /// `Parked` as `needs_key`.
    pub(crate) async fn need(&self, env: &Env, name: &str) -> Result<Secret, ProviderError> {
        let parked = |why: String| ProviderError::Parked { reason: format!("needs_key: {why}") };
        match self.find(env, name).await.map_err(parked)? {
            Some(found) => Ok(found.secret),
            None => Err(parked(format!("{name} is not set"))),
        }
    }
}

/// The desktop's keyring, by its own program: `secret-tool store --label=podium service podium key NAME` puts a key in,
/// on macOS `security add-generic-password -s podium -a NAME -w`.
async fn from_system(env: &Env, name: &str) -> Option<Found> {
    let command = if cfg!(target_os = "macos") {
        Command::new("security").args(["find-generic-password", "-w", "-s", "podium", "-a", name])
    } else {
        env.get("DBUS_SESSION_BUS_ADDRESS")?;
        Command::new("secret-tool").args(["lookup", "service", "podium", "key", name])
    };
    let reaching = ["PATH", "HOME", "USER", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"];
    let variables = reaching.iter().filter_map(|name| Some((*name, env.get(*name)?)));
    let output = command.envs(variables).timeout(KEYRING).output(&CancellationToken::new()).await.ok()?;
    let key = output.stdout.text().trim().to_owned();
    (output.success() && !key.is_empty())
        .then(|| Found { secret: Secret::new(key), source: "of the keyring" })
}
