//! Layered configuration with provenance: defaults < user file < project file < environment.
//!
//! A setting is one row of [`KEYS`]: name, type, default, help. Files may be TOML, YAML or JSON. The whole is
//! validated before it replaces what was in force, so that a mistake in a file never takes effect halfway.

mod file;
mod home;
mod key;
mod keys;
mod layers;
mod prices;
mod reload;

pub use file::{ConfigFileError, set_in_file};
pub use home::{Home, HomeError};
pub use key::{Field, FieldKind, Key, KeyKind};
pub use keys::KEYS;
pub use layers::{Config, ConfigError, Layer, Source};
pub use reload::Live;
