//! Helix: the language server merged into `languages.toml`.
//!
//! A `language-servers` list replaces Helix's own defaults, so an entry that a person wrote gets Podium added
//! to its list, and a language they did not mention gets the full list from the snippet that ships with Podium.

use std::path::Path;

use podium_cli::output::Failure;
use podium_protocol::WireError;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::{Plan, Step};
use crate::editors::HELIX;

const FILE: &str = "helix/languages.toml";
const SERVER: &str = "podium";
const LISTS: &str = "language-servers";

pub(super) fn plan(config: &Path, timestamp: &str) -> Result<Plan, Failure> {
    let snippet = HELIX.iter().find(|(name, _)| *name == "languages.toml").map(|(_, text)| *text);
    let snippet = snippet.ok_or_else(|| WireError::internal("this build has no snippet for Helix"))?;
    let path = config.join(FILE);
    let old = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(WireError::user(format!("{} cannot be read: {error}", path.display())).into());
        }
    };
    let merged = match &old {
        // As it is, with its comments.
        None => snippet.to_owned(),
        Some(mine) => merge(mine, snippet).map_err(|reason| {
            WireError::user(format!("{} is not valid: {reason}", path.display()))
                .hint("mend it, then try again")
        })?,
    };
    let then = vec![
        "`hx --health` lists podium; `:lsp-workspace-command` in a repository has its commands".to_owned(),
    ];
    if old.as_deref() == Some(merged.as_str()) {
        return Ok(Plan { steps: Vec::new(), then });
    }
    let mut steps = Vec::new();
    if old.is_some() {
        let to = path.with_file_name(format!("languages.toml.{timestamp}.bak"));
        steps.push(Step::Backup { path: path.clone(), to });
    }
    steps.push(Step::Write { path, text: merged });
    Ok(Plan { steps, then })
}

/// The person's file with Podium in it. Comments and order stay.
fn merge(mine: &str, snippet: &str) -> Result<String, String> {
    let mut document: DocumentMut = mine.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    let ours: DocumentMut = snippet.parse().map_err(|e: toml_edit::TomlError| e.to_string())?;
    if let Some(server) = ours.get("language-server").and_then(|s| s.get(SERVER)) {
        let servers = document.entry("language-server").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let servers = servers.as_table_like_mut().ok_or("`language-server` is not a table")?;
        if !servers.contains_key(SERVER) {
            servers.insert(SERVER, server.clone());
        }
    }
    let languages = document.entry("language").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let languages =
        languages.as_array_of_tables_mut().ok_or("`language` is not a list of [[language]] tables")?;
    for language in ours.get("language").and_then(Item::as_array_of_tables).into_iter().flatten() {
        add_language(languages, language)?;
    }
    Ok(document.to_string())
}

fn add_language(languages: &mut ArrayOfTables, ours: &Table) -> Result<(), String> {
    let name = ours.get("name").and_then(Item::as_str);
    let mine = languages.iter_mut().find(|l| l.get("name").and_then(Item::as_str) == name);
    let Some(mine) = mine else {
        let mut table = Table::new();
        for (key, value) in ours {
            table.insert(key, value.clone());
        }
        languages.push(table);
        return Ok(());
    };
    match mine.get_mut(LISTS) {
        None => {
            if let Some(list) = ours.get(LISTS) {
                mine.insert(LISTS, list.clone());
            }
        }
        Some(list) => add_server(list.as_array_mut().ok_or(format!("`{LISTS}` is not a list"))?),
    }
    Ok(())
}

fn add_server(list: &mut Array) {
    let is_podium = |v: &Value| {
        v.as_str() == Some(SERVER)
            || v.as_inline_table().and_then(|t| t.get("name")).and_then(Value::as_str) == Some(SERVER)
    };
    if !list.iter().any(is_podium) {
        list.push(SERVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNIPPET: &str = "[language-server.podium]\ncommand = \"podium\"\nargs = [\"lsp\"]\n\n\
        [[language]]\nname = \"rust\"\nlanguage-servers = [\"rust-analyzer\", \"podium\"]\n\n\
        [[language]]\nname = \"lua\"\nlanguage-servers = [\"lua-language-server\", \"podium\"]\n";

    #[test]
    fn a_persons_lists_are_kept_and_extended() {
        let mine = "# mine\n[language-server.mine]\ncommand = \"m\"\n\n[[language]]\nname = \"rust\"\nauto-format = true # yes\nlanguage-servers = [{ name = \"mine\" }]\n";
        insta::assert_snapshot!(merge(mine, SNIPPET).unwrap());
    }

    #[test]
    fn merging_again_changes_nothing() {
        for mine in ["", "[[language]]\nname = \"lua\"\n"] {
            let once = merge(mine, SNIPPET).unwrap();
            assert_eq!(merge(&once, SNIPPET).unwrap(), once);
            assert!(once.contains("lua-language-server"), "{once}");
        }
    }

    #[test]
    fn the_shipped_snippet_is_written_merged_and_then_left_alone() {
        let config = tempfile::tempdir().unwrap();
        let path = config.path().join(FILE);
        let write = |stamp: &str| {
            let Ok(plan) = plan(config.path(), stamp) else { panic!("no plan") };
            plan.steps.iter().for_each(|step| crate::setup::carry_out(step).unwrap());
            plan.steps.len()
        };
        assert_eq!(write("t1"), 1, "a new file needs no backup");
        let mine = "[[language]]\nname = \"rust\"\nlanguage-servers = [\"ra\"]\n";
        std::fs::write(&path, mine).unwrap();
        assert_eq!(write("t2"), 2);
        let kept = path.with_file_name("languages.toml.t2.bak");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), mine);
        assert!(std::fs::read_to_string(&path).unwrap().contains("[\"ra\", \"podium\"]"));
        assert_eq!(write("t3"), 0, "nothing is left to do");
    }

    #[test]
    fn a_broken_file_is_refused_and_stays() {
        let config = tempfile::tempdir().unwrap();
        assert!(merge("[[language", SNIPPET).is_err());
        assert!(merge("language = 1", SNIPPET).is_err());
        assert!(!config.path().join(FILE).exists());
    }
}
