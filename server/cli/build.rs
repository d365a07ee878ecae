//! Embeds the editor files that are plain text, so that an installed `podium` can set editors up without the source.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folders below `editors/` whose files go along.
const EDITORS: [&str; 2] = ["neovim", "helix"];
/// Kinds of files that an editor reads.
const KINDS: [&str; 4] = ["lua", "txt", "toml", "md"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../editors");
    let mut code = String::new();
    for editor in EDITORS {
        let folder = root.join(editor);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, &mut files)?;
        files.sort();
        writeln!(code, "/// Files of `editors/{editor}`, with their paths in it.")?;
        writeln!(code, "pub(crate) static {}: &[(&str, &str)] = &[", editor.to_uppercase())?;
        for file in files {
            let name = file.strip_prefix(&folder)?.to_string_lossy().replace('\\', "/");
            writeln!(code, "    ({name:?}, include_str!({:?})),", file.canonicalize()?)?;
        }
        writeln!(code, "];")?;
    }
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("editors.rs"), code)?;
    Ok(())
}

/// Every file an editor reads, but neither tests nor what tools leave behind.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "tests" || name == "test" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.path().extension().is_some_and(|kind| KINDS.iter().any(|k| kind == *k)) {
            files.push(entry.path());
        }
    }
    Ok(())
}
