//! The merge of all layers, each value with the place it comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::file::{ConfigFileError, read_flat};
use crate::key::Key;
use crate::keys::KEYS;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    Env(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

/// One place that settings are read from, weakest first.
#[derive(Debug, Clone)]
pub enum Layer {
    /// The user's file; it need not exist.
    User(PathBuf),
    /// The first of `.podium/config.{toml,yaml,yml,json}` in this folder.
    Project(PathBuf),
    /// Variables `PODIUM_<SECTION>_<NAME>`.
    Env(BTreeMap<String, String>),
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    File(#[from] ConfigFileError),
    #[error("{place}: `{key}` {problem}")]
    Invalid { place: Source, key: String, problem: String },
    #[error("{place}: `{key}` is not a setting{}", suggestion(.key))]
    Unknown { place: Source, key: String },
    #[error("{place}: `{key}` can only be set by the user, not by a project")]
    NotForProjects { place: Source, key: String },
}

fn suggestion(key: &str) -> String {
    let section = key.split('.').next().unwrap_or_default();
    let near: Vec<&str> =
        KEYS.iter().map(|k| k.name).filter(|name| name.split('.').next() == Some(section)).collect();
    if near.is_empty() { String::new() } else { format!("; known: {}", near.join(", ")) }
}

/// Merged settings: every key has a value of its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    values: BTreeMap<&'static str, (Value, Source)>,
}

impl Default for Config {
    fn default() -> Self {
        Self { values: KEYS.iter().map(|k| (k.name, ((k.default)(), Source::Default))).collect() }
    }
}

impl Config {
    /// Merges the layers over the defaults; a later layer wins.
    ///
    /// # Errors
    /// The first fault of any layer. Nothing of a faulty whole is taken.
    pub fn load(layers: &[Layer]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for layer in layers {
            match layer {
                Layer::User(path) => config.merge_file(path, false)?,
                Layer::Project(folder) => {
                    if let Some(path) = project_file(folder) {
                        config.merge_file(&path, true)?;
                    }
                }
                Layer::Env(variables) => config.merge_env(variables)?,
            }
        }
        Ok(config)
    }

    fn merge_file(&mut self, path: &Path, project: bool) -> Result<(), ConfigError> {
        let place = Source::File(path.to_owned());
        for (name, value) in read_flat(path)? {
            let Some(key) = KEYS.iter().find(|k| k.name == name) else {
                return Err(ConfigError::Unknown { place, key: name });
            };
            if project && !key.project {
                return Err(ConfigError::NotForProjects { place, key: name });
            }
            self.put(key, value, place.clone())?;
        }
        Ok(())
    }

    fn merge_env(&mut self, variables: &BTreeMap<String, String>) -> Result<(), ConfigError> {
        for key in KEYS {
            let variable = key.variable();
            if let Some(text) = variables.get(&variable) {
                let place = Source::Env(variable);
                let value = key.parse(text).map_err(|problem| ConfigError::Invalid {
                    place: place.clone(),
                    key: key.name.to_owned(),
                    problem,
                })?;
                self.put(key, value, place)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, key: &Key, value: Value, place: Source) -> Result<(), ConfigError> {
        if let Err(problem) = key.check(&value) {
            return Err(ConfigError::Invalid { place, key: key.name.to_owned(), problem });
        }
        self.values.insert(key.name, (value, place));
        Ok(())
    }

    /// All settings with value and source, in the order of their names.
    pub fn entries(&self) -> impl Iterator<Item = (&'static Key, &Value, &Source)> {
        KEYS.iter().filter_map(|key| self.values.get(key.name).map(|(value, source)| (key, value, source)))
    }

    /// A number. 0 for a name that is no setting, which a test of the callers would show.
    #[must_use]
    pub fn integer(&self, name: &str) -> i64 {
        debug_assert!(self.values.contains_key(name), "{name} is a setting");
        self.values.get(name).and_then(|(value, _)| value.as_i64()).unwrap_or_default()
    }

    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        debug_assert!(self.values.contains_key(name), "{name} is a setting");
        self.values.get(name).and_then(|(value, _)| value.as_str()).unwrap_or_default()
    }

    /// The items of a list.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        debug_assert!(self.values.contains_key(name), "{name} is a setting");
        let items = self.values.get(name).and_then(|(value, _)| value.as_array());
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The tables of a setting, each field by its name.
    #[must_use]
    pub fn tables(&self, name: &str) -> Vec<BTreeMap<&str, &str>> {
        debug_assert!(self.values.contains_key(name), "{name} is a setting");
        let tables = self.values.get(name).and_then(|(value, _)| value.as_array());
        tables
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .map(|table| table.iter().filter_map(|(name, v)| Some((name.as_str(), v.as_str()?))).collect())
            .collect()
    }

    /// The tables of a setting as they stand, and behind them those of its default: for a setting that adds to what is
    /// shipped.
    #[must_use]
    pub fn tables_over_default(&self, name: &str) -> Vec<Value> {
        debug_assert!(self.values.contains_key(name), "{name} is a setting");
        let set = self.values.get(name).map(|(value, _)| value.clone());
        let default = KEYS.iter().find(|key| key.name == name).map(|key| (key.default)());
        set.into_iter().chain(default).filter_map(|value| value.as_array().cloned()).flatten().collect()
    }

    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        debug_assert!(self.values.contains_key(name), "{name} is a setting");
        self.values.get(name).and_then(|(value, _)| value.as_bool()).unwrap_or_default()
    }

    /// A number of seconds; `None` for 0.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<std::time::Duration> {
        u64::try_from(self.integer(name)).ok().filter(|n| *n > 0).map(std::time::Duration::from_secs)
    }
}

fn project_file(folder: &Path) -> Option<PathBuf> {
    ["toml", "yaml", "yml", "json"]
        .iter()
        .map(|ext| folder.join(".podium").join(format!("config.{ext}")))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn later_layers_win_and_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let user =
            write(dir.path(), "user.toml", "[claims]\nheartbeat_seconds = 60\n[sessions]\nmax_tokens = 99\n");
        write(dir.path(), ".podium/config.yaml", "claims:\n  heartbeat_seconds: 70\n");
        let env = BTreeMap::from([("PODIUM_SESSIONS_MAX_TOKENS".to_owned(), "12".to_owned())]);
        let layers = [Layer::User(user), Layer::Project(dir.path().to_owned()), Layer::Env(env)];
        let config = Config::load(&layers).unwrap();
        assert_eq!(config.integer("claims.heartbeat_seconds"), 70);
        assert_eq!(config.integer("sessions.max_tokens"), 12);
        let source = |name| config.entries().find(|(k, ..)| k.name == name).unwrap().2.to_string();
        assert!(source("claims.heartbeat_seconds").ends_with("config.yaml"));
        assert_eq!(source("sessions.max_tokens"), "env:PODIUM_SESSIONS_MAX_TOKENS");
        assert_eq!(source("log.level"), "default");
    }

    #[test]
    fn a_fault_names_file_key_and_what_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "c.json", r#"{"log": {"level": "loud"}}"#);
        let error = Config::load(&[Layer::User(path.clone())]).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{}: `log.level` must be one of error, warn, info, debug, trace", path.display())
        );
        let path = write(dir.path(), "d.toml", "[claims]\nheartbeat = 1\n");
        let error = Config::load(&[Layer::User(path)]).unwrap_err().to_string();
        assert!(
            error.contains("`claims.heartbeat` is not a setting; known: claims.heartbeat_seconds"),
            "{error}"
        );
    }

    #[test]
    fn a_project_cannot_set_what_reaches_beyond_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ".podium/config.toml", "[daemon]\nrequests_per_second = 10\n");
        let error = Config::load(&[Layer::Project(dir.path().to_owned())]).unwrap_err();
        assert!(matches!(error, ConfigError::NotForProjects { .. }));
        write(dir.path(), ".podium/config.toml", "[[permission]]\ntool = \"*\"\ndecision = \"allow\"\n");
        let error = Config::load(&[Layer::Project(dir.path().to_owned())]).unwrap_err();
        assert!(matches!(error, ConfigError::NotForProjects { key, .. } if key == "permission"));
    }
}
