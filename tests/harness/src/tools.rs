//! The real programs that `cargo xtask provision` puts in place.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Absolute paths of provisioned tools, by name: `acp_sdk`, `nvim`, `node`, `code_server_entry`, `chromium`, ...
pub struct ToolPaths {
    tools: Value,
}

impl ToolPaths {
    /// # Panics
    /// When nothing was provisioned.
    #[must_use]
    pub fn load() -> Self {
        let file = checkout().join("target/tools/tools.json");
        let tools = fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok());
        let tools = tools
            .unwrap_or_else(|| panic!("{} is missing: run `cargo xtask provision` first", file.display()));
        Self { tools }
    }

    /// # Panics
    /// When the tool was not provisioned, or is gone.
    #[must_use]
    pub fn get(&self, name: &str) -> PathBuf {
        let path = self.tools[name].as_str().map(PathBuf::from).filter(|path| path.exists());
        path.unwrap_or_else(|| panic!("the tool `{name}` is missing: run `cargo xtask provision`"))
    }
}

/// The checkout that this was built from.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
}

/// Where editor tests leave their pictures.
#[must_use]
pub fn screenshots() -> PathBuf {
    checkout().join("target/screenshots")
}
