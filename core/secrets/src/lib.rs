//! Where keys come from, and how secrets are kept out of what is stored and shown.
//!
//! - [`Keyring`]: keys sent with a request, then the private file `secrets.toml`; never this process's environment.
//! - [`Redactor`] and [`StreamRedactor`]: known values and well-known shapes become `[redacted:NAME]`.
//! - [`is_secret_path`]: files that agents may not read unless told otherwise.

mod dotenv;
mod keys;
mod known;
mod paths;
mod patterns;
mod redactor;
mod secret;
mod stream;

pub use dotenv::{Assignment, parse_dotenv};
pub use keys::{KeySource, Keyring, SecretsError, SecretsFile};
pub use known::KnownSecrets;
pub use paths::is_secret_path;
pub use redactor::Redactor;
pub use secret::Secret;
pub use stream::{StreamRedactor, StreamState};
