//! The configuration in force, replaced as a whole when a file changes.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::layers::{Config, ConfigError, Layer};

/// The settings in force. Reading them never waits.
#[derive(Debug)]
pub struct Live {
    layers: Vec<Layer>,
    current: ArcSwap<Config>,
}

impl Live {
    /// Loads the layers for the first time.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load(layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let config = Config::load(&layers)?;
        Ok(Self { layers, current: ArcSwap::from_pointee(config) })
    }

    /// The defaults alone, for tests and for a start without any file.
    #[must_use]
    pub fn defaults() -> Self {
        Self { layers: Vec::new(), current: ArcSwap::from_pointee(Config::default()) }
    }

    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Reads the layers anew. What was in force stays when they have a fault. Tells whether something changed.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn reload(&self) -> Result<bool, ConfigError> {
        let fresh = Config::load(&self.layers)?;
        let changed = **self.current.load() != fresh;
        if changed {
            self.current.store(Arc::new(fresh));
        }
        Ok(changed)
    }

    /// Whether the layers as they are now could be taken over.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn check(&self) -> Result<(), ConfigError> {
        Config::load(&self.layers).map(drop)
    }

    /// Settings for one project: these layers with the project's file above the user's.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn for_project(&self, folder: &std::path::Path) -> Result<Config, ConfigError> {
        let mut layers = self.layers.clone();
        let at = layers.iter().position(|l| matches!(l, Layer::Env(_))).unwrap_or(layers.len());
        layers.insert(at, Layer::Project(folder.to_owned()));
        Config::load(&layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_file_leaves_what_was_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "[sessions]\nmax_tokens = 7\n").unwrap();
        let live = Live::load(vec![Layer::User(path.clone())]).unwrap();
        std::fs::write(&path, "[sessions]\nmax_tokens = \"many\"\n").unwrap();
        assert!(live.reload().is_err());
        assert_eq!(live.get().integer("sessions.max_tokens"), 7);
        std::fs::write(&path, "[sessions]\nmax_tokens = 8\n").unwrap();
        assert!(live.reload().unwrap());
        assert_eq!(live.get().integer("sessions.max_tokens"), 8);
    }
}
