use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{KnownSecrets, Secret};

/// Largest `secrets.toml` that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    #[error("{} can be read by others (mode {mode:03o})", path.display())]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{} belongs to another user (uid {uid})", path.display())]
    ForeignOwner { path: PathBuf, uid: u32 },
    #[error("{} is larger than {MAX_FILE} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The parser's own message is left out: it quotes the line, and with it the key.
    #[error("{} is not a table of names and strings", path.display())]
    Malformed { path: PathBuf },
    #[error("{} could not be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl SecretsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::TooOpen { path, .. } => format!("run: chmod 600 '{}'", path.display()),
            Self::ForeignOwner { path, .. } => format!("run: chown \"$USER\" '{}'", path.display()),
            Self::Malformed { .. } => "write one key per line, as in: ANTHROPIC_API_KEY = \"...\"".into(),
            Self::TooLarge { .. } | Self::NotAFile { .. } | Self::Read { .. } => {
                "put the keys into a regular file of your own, or send them with the request".into()
            }
        }
    }
}

/// The file `secrets.toml`: one table of names and strings, readable by its owner only.
#[derive(Debug, Clone, Default)]
pub struct SecretsFile {
    values: BTreeMap<String, Secret>,
}

impl SecretsFile {
    /// Reads `<home>/secrets.toml`; a missing file holds no keys.
    ///
    /// # Errors
    /// If others could read or have written it, or it is not such a table.
    pub fn load(home: &Path) -> Result<Self, SecretsError> {
        let path = home.join("secrets.toml");
        let read = |source| SecretsError::Read { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(read(source)),
        };
        let metadata = file.metadata().map_err(read)?;
        if !metadata.is_file() {
            return Err(SecretsError::NotAFile { path });
        }
        // Asked of the open file: the name could be changed to mean another one.
        check_private(&path, &metadata)?;
        let mut text = Zeroizing::new(String::new());
        file.by_ref().take(MAX_FILE + 1).read_to_string(&mut text).map_err(read)?;
        if text.len() as u64 > MAX_FILE {
            return Err(SecretsError::TooLarge { path });
        }
        let values: BTreeMap<String, String> =
            toml::from_str(&text).map_err(|_| SecretsError::Malformed { path })?;
        Ok(Self { values: values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect() })
    }

    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(name).filter(|secret| !secret.is_empty())
    }
}

#[cfg(unix)]
fn check_private(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SecretsError> {
    use std::os::unix::fs::MetadataExt;

    let (mode, uid) = (metadata.mode() & 0o777, metadata.uid());
    if mode & 0o077 != 0 {
        return Err(SecretsError::TooOpen { path: path.to_owned(), mode });
    }
    if uid != rustix::process::geteuid().as_raw() {
        return Err(SecretsError::ForeignOwner { path: path.to_owned(), uid });
    }
    Ok(())
}

/// The folder's own access list decides elsewhere.
#[cfg(not(unix))]
fn check_private(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), SecretsError> {
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    Request,
    File,
}

/// The keys that serve one request: those it brought along, then those of the file. Kept in memory only. The
/// environment of this process is never asked: it belongs to whoever happened to start it.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    request: BTreeMap<String, Secret>,
    file: SecretsFile,
}

impl Keyring {
    pub fn new<K: Into<String>, V: Into<Secret>>(
        request: impl IntoIterator<Item = (K, V)>,
        file: SecretsFile,
    ) -> Self {
        let request = request.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { request, file }
    }

    /// An empty value counts as none.
    pub fn get(&self, name: &str) -> Option<(&Secret, KeySource)> {
        let request = self.request.get(name).filter(|secret| !secret.is_empty());
        let request = request.map(|secret| (secret, KeySource::Request));
        request.or_else(|| self.file.get(name).map(|secret| (secret, KeySource::File)))
    }

    /// Adds what must not be shown: all of the file, and what the request's variables hold that looks like a key (it also
    /// brings `PATH` and the like).
    pub fn add_to(&self, known: &mut KnownSecrets) {
        for (name, secret) in &self.file.values {
            known.add(name, secret.expose());
        }
        for (name, secret) in &self.request {
            known.add_variable(name, secret.expose());
        }
    }
}
