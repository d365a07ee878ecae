//! `tools.json`: absolute paths of what is provisioned. A tool that is not there has no key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::cache::Cache;
use super::{llama, neovim, node, program, python, rust, system, vscode};

pub(super) struct Manifest {
    tools: Vec<(&'static str, PathBuf)>,
}

impl Manifest {
    /// Looks at what is there, whoever installed it and whenever.
    pub(super) fn discover(cache: &Cache) -> Self {
        let found = [
            ("acp_sdk", python::ACP.folder(cache)),
            ("bwrap", program("bwrap")),
            ("cargo_nextest", rust::nextest(cache)),
            ("chromium", system::browser()),
            ("code_server_entry", vscode::entry(cache)),
            ("llama_server", llama::server(cache)),
            ("mcp_sdk", python::MCP.folder(cache)),
            ("node", node::usable(cache).map(|node| node.program)),
            ("nvim", neovim::nvim(cache)),
            ("playwright_core", vscode::playwright(cache)),
            ("tmux", program("tmux")),
        ];
        Self { tools: found.into_iter().filter_map(|(name, path)| Some((name, path?))).collect() }
    }

    pub(super) fn get(&self, name: &str) -> Result<&Path> {
        let found = self.tools.iter().find(|(known, _)| *known == name);
        found.map(|(_, path)| path.as_path()).with_context(|| format!("{name} is not provisioned"))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&Value::Object(self.json()?))?;
        let folder = file.parent().context("tools.json needs a folder")?;
        fs::create_dir_all(folder)?;
        // Replaced whole: a test that reads meanwhile sees the old or the new one.
        let partial = folder.join(format!(".tools.json.{}", std::process::id()));
        fs::write(&partial, text + "\n")?;
        fs::rename(&partial, file).with_context(|| format!("cannot write {}", file.display()))
    }

    fn json(&self) -> Result<Map<String, Value>> {
        let mut map = Map::new();
        for (name, path) in &self.tools {
            let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
            map.insert((*name).to_owned(), text.into());
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_no_key_and_an_old_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tools/tools.json");
        Manifest { tools: vec![("nvim", "/a/nvim".into()), ("tmux", "/a/tmux".into())] }
            .write(&file)
            .unwrap();
        Manifest { tools: vec![("nvim", "/b/nvim".into())] }.write(&file).unwrap();
        let read: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(read, serde_json::json!({"nvim": "/b/nvim"}));
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }
}
