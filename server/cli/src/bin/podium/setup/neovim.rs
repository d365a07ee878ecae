//! Neovim: the plugin as a package, which Neovim loads without any plugin manager.

use std::path::Path;

use super::{Plan, Step};
use crate::editors::NEOVIM;

/// Where `packpath` looks first, below the data folder.
const PACKAGE: &str = "nvim/site/pack/podium/start/podium";
/// Old versions go outside `pack/`, where nothing loads them.
const BACKUPS: &str = "nvim/podium-backup";
/// The plugin leaves it to the person whether the server starts; who runs the set-up has decided.
const ENABLE: (&str, &str) = (
    "plugin/podium_enable.lua",
    "-- Written by `podium setup neovim`: starts the language server.\nif vim.fn.has('nvim-0.11') == 1 then\n  vim.lsp.enable('podium')\nend\n",
);

pub(super) fn plan(data: &Path, timestamp: &str) -> Plan {
    let folder = data.join(PACKAGE);
    let files = || NEOVIM.iter().copied().chain([ENABLE]).filter(|(name, _)| *name != "README.md");
    let then = vec![
        "start Neovim 0.11 or newer in a repository, then `:checkhealth podium` and `:Podium`".to_owned(),
        "`:helptags ALL`, once, makes `:help podium` known".to_owned(),
        format!("to take it back: remove {}", folder.display()),
    ];
    let current =
        files().all(|(name, text)| std::fs::read(folder.join(name)).is_ok_and(|old| old == text.as_bytes()));
    if current {
        return Plan { steps: Vec::new(), then };
    }
    let mut steps = Vec::new();
    if folder.exists() {
        steps.push(Step::Backup { path: folder.clone(), to: data.join(format!("{BACKUPS}-{timestamp}")) });
    }
    steps.extend(files().map(|(name, text)| Step::Write { path: folder.join(name), text: text.to_owned() }));
    Plan { steps, then }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::carry_out;

    fn install(data: &Path, timestamp: &str) -> usize {
        let plan = plan(data, timestamp);
        plan.steps.iter().for_each(|step| carry_out(step).unwrap());
        plan.steps.len()
    }

    #[test]
    fn the_plugin_is_installed_once_and_an_older_one_kept() {
        let data = tempfile::tempdir().unwrap();
        assert!(install(data.path(), "t1") > 5);
        let folder = data.path().join(PACKAGE);
        for file in ["plugin/podium.lua", "lsp/podium.lua", "lua/podium/init.lua", ENABLE.0] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        assert_eq!(install(data.path(), "t2"), 0, "nothing to do");
        std::fs::write(folder.join("plugin/podium.lua"), "-- mine").unwrap();
        assert!(install(data.path(), "t3") > 5);
        let kept = data.path().join("nvim/podium-backup-t3/plugin/podium.lua");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "-- mine");
    }
}
