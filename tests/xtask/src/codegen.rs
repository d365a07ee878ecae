//! `cargo xtask codegen`: files that are generated from the types of the protocol and of melodies, and committed, so that editors and other
//! clients have them without building anything.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Write nothing; fail when a committed file is not what the code says
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut files = podium_protocol::schema::generate();
    files.extend(podium_melody::schema::generate());
    let stale = stale(&workspace.root, &files);
    if stale.is_empty() {
        println!("codegen: {} files are up to date", files.len());
        return Ok(());
    }
    if args.check {
        bail!("not what the code says: {}; run `cargo xtask codegen`", names(&stale));
    }
    for (name, contents) in &stale {
        write(&workspace.root.join(name), contents)?;
        println!("codegen: wrote {name}");
    }
    Ok(())
}

fn stale<'a>(root: &Path, files: &'a [(String, String)]) -> Vec<&'a (String, String)> {
    let differs = |(name, contents): &&(String, String)| {
        // A checkout on Windows may have other line ends.
        let written = fs::read_to_string(root.join(name)).map(|text| text.replace("\r\n", "\n"));
        written.ok().as_ref() != Some(contents)
    };
    files.iter().filter(differs).collect()
}

fn names(files: &[&(String, String)]) -> String {
    files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

fn write(file: &Path, contents: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, contents).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_changed_files_are_stale_and_written_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![("a.json".to_owned(), "1\n".to_owned()), ("deep/b.md".to_owned(), "2\n".to_owned())];
        fs::write(folder.path().join("a.json"), "0\n").unwrap();
        let found = stale(folder.path(), &files);
        assert_eq!(names(&found), "a.json, deep/b.md");
        for (name, contents) in found {
            write(&folder.path().join(name), contents).unwrap();
        }
        assert!(stale(folder.path(), &files).is_empty());
        fs::write(folder.path().join("a.json"), "1\r\n").unwrap();
        assert!(stale(folder.path(), &files).is_empty(), "line ends are the checkout's");
    }
}
